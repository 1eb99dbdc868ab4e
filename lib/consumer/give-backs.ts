import type { Clock } from '../clock/clock.js';
import { errorMessage } from '../errors/redact.js';
import type { Log } from '../events/log.js';
import type { Delivery } from '../transport/delivery.js';
import type { AttemptCount } from './settlement/attempt-count.js';
import type { Precheck } from './settlement/precheck.js';
import type { Schedule } from './schedule/schedule.js';
import type { Settlement } from './settlement/settlement.js';
import { until } from '../clock/sleep.js';

/** How long what is given back at the deadline may take, where a slow broker has to take a copy first. */
const AFTER_DEADLINE_MS = 2_000;

interface GiveBackParts {
  readonly settlement: Settlement;
  readonly attempts: AttemptCount;
  readonly precheck: Precheck;
  readonly schedule: Schedule<Delivery>;
  readonly clock: Clock;
  readonly log: Log;
}

/** What goes back to the broker without a handler call, because the consumer stops. */
export class GiveBacks {
  private readonly pending = new Set<Promise<unknown>>();

  constructor(private readonly parts: GiveBackParts) {}

  /** A delivery that came too late. */
  give(delivery: Delivery): void {
    const { settlement, attempts, precheck } = this.parts;
    this.add(settlement.giveBack(delivery, attempts.attemptOf(delivery), precheck.waitOf(delivery)));
  }

  /** The deliveries that wait for their turn. */
  giveWaiting(which: (delivery: Delivery) => boolean = () => true): void {
    const { schedule } = this.parts;
    for (const delivery of [...schedule.waiting])
      if (which(delivery) && schedule.withdraw(delivery)) this.give(delivery);
  }

  add(promise: Promise<unknown>): void {
    const ended = promise
      .catch((error: unknown) => this.parts.log.error(`A message could not be given back: ${errorMessage(error)}`))
      .finally(() => this.pending.delete(ended));
    this.pending.add(ended);
  }

  /** Resolves when all that was given back is there, at the latest at the deadline. */
  async ended(deadline: AbortSignal): Promise<void> {
    if (this.pending.size > 0) await until(Promise.all(this.pending), deadline);
  }

  /** Two seconds more: what is not there by then comes back with the connection, also where its copy has been written. */
  async endedAfterDeadline(): Promise<void> {
    const late = new AbortController();
    const cancel = this.parts.clock.after(AFTER_DEADLINE_MS, () => late.abort());
    await this.ended(late.signal);
    cancel();
  }
}
