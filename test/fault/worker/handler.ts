import { setTimeout as pause } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import { MessageContext, Subscribe, UnrecoverableError } from 'nestjs-messaging';
import type { JournalWriter } from '../journal.js';
import type { Random } from '../random.js';
import { ROUTE, SIDE_ROUTE, type WorkBody, type WorkerSettings } from './settings.js';

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

/** What the handler needs besides the message. */
export interface Workshop {
  readonly settings: WorkerSettings;
  readonly journal: JournalWriter;
  readonly random: Random;
  readonly gate: Gate;
}

export const WORKSHOP = Symbol('workshop');

@Injectable()
export class WorkHandler {
  constructor(@Inject(WORKSHOP) private readonly workshop: Workshop) {}

  @Subscribe(ROUTE)
  async handle({ does, key, n }: WorkBody, { id, attempt }: MessageContext): Promise<void> {
    const { journal, settings, random, gate } = this.workshop;
    journal.write({ e: 'start', id, attempt, ...(key !== undefined && { key, n }) });
    const [least, most] = settings.handlerMs;
    if (most > 0) await pause(random.between(least, most));
    if (does === 'kill') process.kill(process.pid, 'SIGKILL');
    if (does === 'hang') await new Promise(() => undefined);
    if (does === 'dead' || (does === 'flaky' && attempt === 1)) {
      journal.write({ e: 'fail', id, attempt });
      throw does === 'dead' ? new UnrecoverableError('it was meant to fail') : new Error('it was meant to fail once');
    }
    await gate.pass();
    journal.write({ e: 'end', id, attempt });
  }
}

/** What comes on the second route only works. */
@Injectable()
export class SideHandler {
  constructor(@Inject(WORKSHOP) private readonly workshop: Workshop) {}

  @Subscribe(SIDE_ROUTE)
  handle(_body: WorkBody, { id, attempt }: MessageContext): void {
    const { journal } = this.workshop;
    journal.write({ e: 'start', id, attempt });
    journal.write({ e: 'end', id, attempt });
  }
}
