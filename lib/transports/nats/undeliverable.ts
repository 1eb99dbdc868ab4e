import type { Clock } from '../../clock/clock.js';

/** Not seen again for this long: another process has taken it over, or delivered it. */
const FORGET_AFTER_MS = 180_000;
const MOST = 10_000;

/** Delayed messages that were due and that nobody took, as far as this process has seen them. */
export class Undeliverable {
  private readonly lastSeen = new Map<number, number>();

  constructor(private readonly clock: Clock) {}

  get count(): number {
    const oldest = this.clock.monotonic() - FORGET_AFTER_MS;
    for (const [sequence, seen] of this.lastSeen) if (seen < oldest) this.lastSeen.delete(sequence);
    return this.lastSeen.size;
  }

  /** True when it is seen for the first time. */
  seen(sequence: number): boolean {
    const isNew = !this.lastSeen.has(sequence);
    if (!isNew || this.count < MOST) this.lastSeen.set(sequence, this.clock.monotonic());
    return isNew;
  }

  delivered(sequence: number): void {
    this.lastSeen.delete(sequence);
  }
}
