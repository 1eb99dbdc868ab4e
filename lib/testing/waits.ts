import { type CancelTimer, systemClock } from '../clock/clock.js';
import { errorMessage } from '../errors/redact.js';
import { ExpectationError } from './expectation.js';
import type { Activity, VirtualTime } from './virtual-time.js';

interface PendingWait {
  /** Settles the wait if what it waits for has happened. */
  readonly check: () => boolean;
  readonly close: () => void;
  readonly fail: (error: unknown) => void;
  /** How far the time may be moved for the wait, on the virtual monotonic clock. */
  readonly until: number;
  cancelTimer: CancelTimer;
}

export interface WaitRequest<T> {
  /** What was waited for, once it is there. */
  readonly find: () => T | undefined;
  /** Why the wait was in vain. */
  readonly describe: (advancedMs: number) => string;
  readonly withinMs: number;
  readonly timeoutMs: number;
}

/**
 * Waits for what happens, and moves virtual time on meanwhile: to the next timer whenever no handler runs and something
 * waits for its time.
 */
export class Waits {
  private readonly waits = new Set<PendingWait>();
  private driving = false;
  private wake: (() => void) | undefined;
  private closed = false;

  constructor(
    private readonly time: VirtualTime,
    private readonly activity: Activity,
    /** Something waits for its time. */
    private readonly pending: () => boolean,
  ) {}

  /** @throws ExpectationError (as rejection) when it does not happen in time, or the application closes */
  wait<T>({ find, describe, withinMs, timeoutMs }: WaitRequest<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const startedAt = this.time.clock.monotonic();
      const fail = (why: string): void =>
        reject(new ExpectationError(`${why}${describe(this.time.clock.monotonic() - startedAt)}`));
      const check = (): boolean => {
        try {
          const found = find();
          if (found !== undefined) resolve(found);
          return found !== undefined;
        } catch (error) {
          // A condition of the test's own: it must not fail what has just happened in the application.
          reject(error instanceof Error ? error : new ExpectationError(`The condition threw ${errorMessage(error)}. `));
          return true;
        }
      };
      if (check()) return;
      if (this.closed) return fail('The application is closed. ');
      const wait: PendingWait = {
        check,
        fail: reject,
        close: () => fail('The application was closed. '),
        until: startedAt + withinMs,
        cancelTimer: () => {},
      };
      wait.cancelTimer = systemClock.after(timeoutMs, () => {
        this.waits.delete(wait);
        fail('');
        this.changed();
      });
      this.waits.add(wait);
      void this.drive();
    });
  }

  /** Something has happened. */
  changed(): void {
    for (const wait of this.waits) if (wait.check()) this.end(wait);
    this.wake?.();
  }

  close(): void {
    this.closed = true;
    for (const wait of this.waits) {
      this.end(wait);
      wait.close();
    }
    this.wake?.();
  }

  private end(wait: PendingWait): void {
    wait.cancelTimer();
    this.waits.delete(wait);
  }

  private async drive(): Promise<void> {
    if (this.driving) return;
    this.driving = true;
    try {
      await this.goOn();
    } catch (error) {
      // A timer of the application's own threw.
      this.driving = false;
      for (const wait of this.waits) {
        this.end(wait);
        wait.fail(error);
      }
    }
  }

  private async goOn(): Promise<void> {
    for (;;) {
      await this.time.quiet();
      if (this.waits.size === 0) {
        // Not a moment later: who waits from now on starts it again.
        this.driving = false;
        return;
      }
      const until = Math.max(...[...this.waits].map((wait) => wait.until));
      const stepped = this.activity.running === 0 && this.pending() && (await this.time.step(until));
      if (!stepped && this.waits.size > 0) await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }
}
