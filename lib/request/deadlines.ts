import type { CancelTimer, Clock } from '../clock/clock.js';

/** Something that ends at a time of the monotonic clock. */
export interface Timed {
  readonly at: number;
}

interface Group<T> {
  readonly timed: Set<T>;
  cancel: CancelTimer;
}

/** So many durations keep their timer when nothing is left to end. */
const MOST_IDLE = 100;

/**
 * Ends what lasts too long. What lasts equally long ends in the order in which it began, so that one timer serves all of
 * it; it is left to run out when nothing is left to end, for most of it ends earlier.
 */
export class Deadlines<T extends Timed> {
  private readonly groups = new Map<number, Group<T>>();

  constructor(
    private readonly clock: Clock,
    private readonly expire: (timed: T) => void,
  ) {}

  /** `ms`: how long it lasts in all. */
  add(timed: T, ms: number): void {
    let group = this.groups.get(ms);
    if (!group) this.groups.set(ms, (group = { timed: new Set(), cancel: this.arm(ms, timed.at) }));
    group.timed.add(timed);
  }

  delete(timed: T, ms: number): void {
    const group = this.groups.get(ms);
    if (!group?.timed.delete(timed) || group.timed.size > 0 || this.groups.size <= MOST_IDLE) return;
    // Where each lasts for another time, timers are not left to run out.
    group.cancel();
    this.groups.delete(ms);
  }

  private arm(ms: number, at: number): CancelTimer {
    return this.clock.after(Math.max(0, at - this.clock.monotonic()), () => this.sweep(ms), { background: true });
  }

  private sweep(ms: number): void {
    const group = this.groups.get(ms);
    if (!group) return;
    const now = this.clock.monotonic();
    for (const timed of group.timed) {
      if (timed.at > now) {
        group.cancel = this.arm(ms, timed.at);
        return;
      }
      group.timed.delete(timed);
      this.expire(timed);
    }
    this.groups.delete(ms);
  }
}
