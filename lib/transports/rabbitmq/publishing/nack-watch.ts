import type { Clock } from '../../../clock/clock.js';

const NACKS_IN_A_ROW = 3;
const FIRST_INTERVAL_MS = 1_000;
const LONGEST_INTERVAL_MS = 60_000;

/**
 * Tells a full queue from a channel that takes nothing any more. A channel that was used between the death of a quorum
 * queue's leader and the next election can be nacked for ever (RabbitMQ 3.10); a new channel cures it. A full queue is
 * not cured by that, so the cure is tried at growing intervals only.
 */
export class NackWatch {
  private inARow = 0;
  private nextCureAt = -Infinity;
  private interval = FIRST_INTERVAL_MS;

  constructor(private readonly clock: Clock) {}

  acked(): void {
    this.inARow = 0;
    this.interval = FIRST_INTERVAL_MS;
  }

  /** True when the channel should be replaced. */
  nacked(): boolean {
    this.inARow++;
    const now = this.clock.monotonic();
    if (this.inARow < NACKS_IN_A_ROW || now < this.nextCureAt) return false;
    this.inARow = 0;
    this.nextCureAt = now + this.interval;
    this.interval = Math.min(this.interval * 2, LONGEST_INTERVAL_MS);
    return true;
  }
}
