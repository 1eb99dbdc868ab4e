import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import type { SubscribeRequest } from 'nestjs-messaging';

/** What a process migrates, and where it is killed; left out: nowhere. */
export interface Attempt {
  readonly system: 'rabbitmq' | 'nats';
  readonly options: object;
  readonly request: SubscribeRequest;
  readonly queue: string;
  readonly kill?: KillPoint;
}

/** Within the step whose words match, at its n-th write to a socket; at its end where it writes less. */
export interface KillPoint {
  readonly step: string;
  readonly writes: number;
}

/**
 * A process of its own; `onStep` is called with each step that it begins. Resolves with whether SIGKILL ended it.
 * @throws where it failed otherwise
 */
export async function attempt(given: Attempt, onStep: (what: string) => void): Promise<boolean> {
  const child = spawn(process.execPath, [join(__dirname, '../worker.mjs'), JSON.stringify(given)]);
  createInterface(child.stdout).on('line', onStep);
  const [said, [code, signal]] = await Promise.all([text(child.stderr), once(child, 'close')]);
  if (code !== 0 && signal !== 'SIGKILL') throw new Error(`The process ended with ${code ?? signal}: ${said}`);
  return signal === 'SIGKILL';
}
