import { join } from 'node:path';
import { runCommand } from './run-command.js';

const project = ['compose', '--project-name', 'nestjs-messaging-test', '--file', join(__dirname, 'compose.yaml')];

export function dockerAnswers(): Promise<boolean> {
  return runCommand('docker', ['info']).then(
    () => true,
    () => false,
  );
}

/** Starts a service and gives the function that tells where a port of it is. Untested where the project is built. */
export async function startService(service: string): Promise<(port: number) => Promise<string>> {
  await runCommand('docker', [...project, 'up', '--detach', '--wait', service]);
  return async (port) => (await runCommand('docker', [...project, 'port', service, `${port}`])).trim();
}

export async function stopCompose(): Promise<void> {
  await runCommand('docker', [...project, 'down', '--volumes']);
}
