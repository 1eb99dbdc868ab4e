import type { Clock } from '../../../clock/clock.js';
import { sleep } from '../../../clock/sleep.js';

/**
 * The news that a stream or consumer was deleted comes too early: the server still removes its files, and takes
 * those of a new one of that name along. Then that one stores nothing, or is gone after a restart.
 */
const REMAKE_AFTER_MS = 1_000;

/** Keeps what somebody has just deleted from being made again too early. */
export class Removals {
  private readonly there = new Map<string, string>();
  private readonly running = new Map<string, Promise<void>>();

  constructor(private readonly clock: Clock) {}

  /** `within`: what the thing would have gone with. That is no removal of its own. */
  seen(name: string, within = ''): void {
    this.there.set(name, within);
  }

  /** True: the thing was there until now. Once for each removal. */
  noticed(name: string, within = ''): boolean {
    const removed = this.there.get(name) === within;
    this.there.delete(name);
    if (removed)
      this.running.set(
        name,
        sleep(this.clock, REMAKE_AFTER_MS).then(() => void this.running.delete(name)),
      );
    return removed;
  }

  /** Resolves when the server is done with it; undefined when there is nothing to wait for. */
  over(name: string): Promise<void> | undefined {
    return this.running.get(name);
  }
}
