import type { Clock } from './clock.js';

/**
 * Wall-clock time that never jumps: the machine's time at the start of the process, moved on by its monotonic clock. What
 * waits is measured with it, so that a clock that is set while the process runs makes nothing early, late or expired.
 */
export class SteadyTime {
  private readonly offset: number;

  constructor(private readonly clock: Clock) {
    this.offset = clock.now() - clock.monotonic();
  }

  /** Milliseconds since the epoch, whole. */
  now(): number {
    return Math.floor(this.offset + this.clock.monotonic());
  }

  /** A time on the wall clock, as far from now as it is at this moment. */
  at(wallTime: number): number {
    return Math.round(wallTime + this.offset + this.clock.monotonic() - this.clock.now());
  }
}
