import { setTimeout as pause } from 'node:timers/promises';
import { UnrecoverableError } from 'nestjs-messaging';
import type { JournalWriter } from '../journal.js';
import type { Random } from '../random.js';
import type { WorkBody, WorkerSettings } from './settings.js';

/** Lets handlers end, or not. */
export class Gate {
  private opened = Promise.resolve();
  private open = (): void => undefined;

  hold(on: boolean): void {
    this.open();
    if (on) this.opened = new Promise((resolve) => (this.open = resolve));
  }

  pass(): Promise<void> {
    return this.opened;
  }
}

/** What a handler needs besides the message. */
export interface Workshop {
  readonly settings: WorkerSettings;
  readonly journal: JournalWriter;
  readonly random: Random;
  readonly gate: Gate;
}

export const WORKSHOP = Symbol('workshop');

/** Does what the message says, and writes down its start and its end, however it was consumed. */
export async function work(
  { settings, journal, random, gate }: Workshop,
  { does, key, n }: WorkBody,
  { id, attempt }: { readonly id: string; readonly attempt: number },
): Promise<void> {
  journal.write({ e: 'start', id, attempt, ...(key !== undefined && { key, n }) });
  const [least, most] = settings.handlerMs;
  if (most > 0) await pause(random.between(least, most));
  if (does === 'kill') process.kill(process.pid, 'SIGKILL');
  if (does === 'hang') await new Promise(() => undefined);
  if (does === 'dead') {
    journal.write({ e: 'fail', id, attempt, final: true });
    throw new UnrecoverableError('it was meant to fail');
  }
  if (does === 'flaky' && attempt === 1) {
    journal.write({ e: 'fail', id, attempt });
    throw new Error('it was meant to fail once');
  }
  await gate.pass();
  journal.write({ e: 'end', id, attempt });
}
