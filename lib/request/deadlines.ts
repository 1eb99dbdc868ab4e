import type { Clock } from '../clock/clock.js';

/** Something that ends at a time of the monotonic clock. */
export interface Timed {
  readonly at: number;
}

/**
 * Ends what lasts too long. What lasts equally long ends in the order in which it began, so that one timer serves all of
 * it; it is left to run out when nothing is left to end, for most of it ends earlier.
 */
export class Deadlines<T extends Timed> {
  private readonly groups = new Map<number, Set<T>>();

  constructor(
    private readonly clock: Clock,
    private readonly expire: (timed: T) => void,
  ) {}

  /** `ms`: how long it lasts in all. */
  add(timed: T, ms: number): void {
    let group = this.groups.get(ms);
    if (!group) {
      this.groups.set(ms, (group = new Set()));
      this.arm(group, ms, timed.at);
    }
    group.add(timed);
  }

  delete(timed: T, ms: number): void {
    this.groups.get(ms)?.delete(timed);
  }

  private arm(group: Set<T>, ms: number, at: number): void {
    this.clock.after(Math.max(0, at - this.clock.monotonic()), () => this.sweep(group, ms), { background: true });
  }

  private sweep(group: Set<T>, ms: number): void {
    const now = this.clock.monotonic();
    for (const timed of group) {
      if (timed.at > now) return this.arm(group, ms, timed.at);
      group.delete(timed);
      this.expire(timed);
    }
    this.groups.delete(ms);
  }
}
