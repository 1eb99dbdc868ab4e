import { join } from 'node:path';
import { runCommand } from '../run-command.js';
import type { AvailableRabbit } from './availability.js';
import { externalRabbit } from './external.js';
import type { RabbitVersion } from './install.js';

const project = ['compose', '--project-name', 'nestjs-messaging-test', '--file', join(__dirname, '../compose.yaml')];

export function dockerAnswers(): Promise<boolean> {
  return runCommand('docker', ['info']).then(
    () => true,
    () => false,
  );
}

/** Untested where the project is built: there is no Docker there. */
export async function startByCompose(version: RabbitVersion): Promise<AvailableRabbit> {
  const service = `rabbitmq-${version.replaceAll('.', '-')}`;
  await runCommand('docker', [...project, 'up', '--detach', '--wait', service]);
  const address = async (port: number) => (await runCommand('docker', [...project, 'port', service, `${port}`])).trim();
  return externalRabbit(`amqp://guest:guest@${await address(5672)}`, `http://guest:guest@${await address(15672)}`);
}

export async function stopCompose(): Promise<void> {
  await runCommand('docker', [...project, 'down', '--volumes']);
}
