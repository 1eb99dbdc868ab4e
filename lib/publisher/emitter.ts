import { errorMessage } from '../errors/redact.js';
import type { Log } from '../events/log.js';
import type { Receipt, Settlement } from './receipt.js';

/** Fire and forget: a bounded number of publishes nobody awaits. */
export class Emitter {
  private pending = 0;
  private waiters: (() => void)[] = [];
  /** How many were taken and failed, at once or after they were queued, or not taken, since the start. */
  failures = 0;

  constructor(
    private readonly capacity: number,
    private readonly log: Log,
  ) {}

  get full(): boolean {
    return this.pending >= this.capacity;
  }

  /** Watches over a publish that nobody awaits. */
  watch(publish: Promise<Receipt>): void {
    this.pending++;
    publish.then(
      (receipt) => {
        this.settled();
        if (receipt.outcome === 'queued') void receipt.settled.then((settlement) => this.atLast(settlement));
      },
      (error: unknown) => {
        this.fail(errorMessage(error));
        this.settled();
      },
    );
  }

  fail(reason: string): void {
    this.failures++;
    // In a flood every tenth, hundredth, … is told: a line per failure would be a flood of its own.
    if (this.failures < 10 || /^10+$/.test(String(this.failures)))
      this.log.error(`emit() could not send a message (${this.failures} so far): ${reason}`);
  }

  /** Resolves as soon as the buffer has room. */
  drained(): Promise<void> {
    return this.full ? new Promise((resolve) => this.waiters.push(resolve)) : Promise.resolve();
  }

  /** What was queued has its final result. */
  private atLast(settlement: Settlement): void {
    if (settlement.outcome === 'rejected') this.fail(errorMessage(settlement.error));
  }

  private settled(): void {
    this.pending--;
    if (this.waiters.length === 0 || this.full) return;
    const waiters = this.waiters;
    this.waiters = [];
    for (const resolve of waiters) resolve();
  }
}
