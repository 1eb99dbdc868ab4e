import type { Clock } from '../clock/clock.js';
import type { Change, CoordinationStore, CoordinationStoreFactory } from './coordination-store.js';

/** For an application that is one process, until that ends. For several: `sqliteCoordinationStore` and others. */
export function memoryCoordinationStore(): CoordinationStoreFactory {
  return { kind: 'memory', create: ({ clock }) => new MemoryCoordinationStore(clock) };
}

interface Entry {
  readonly state: string;
  readonly endsAt: number;
}

/** Entries that are looked at with each change, to be forgotten where they are over. */
const TIDY_STEPS = 2;

class MemoryCoordinationStore implements CoordinationStore {
  /** In the order in which they were last written. */
  private readonly entries = new Map<string, Entry>();

  constructor(private readonly clock: Clock) {}

  async change<T>(key: string, change: Change<T>): Promise<T> {
    const now = this.clock.now();
    const entry = this.entries.get(key);
    const changed = change(entry && entry.endsAt > now ? entry.state : undefined, now);
    if (changed.state !== undefined) this.entries.delete(key);
    if (typeof changed.state === 'string')
      this.entries.set(key, { state: changed.state, endsAt: now + changed.keepMs });
    this.tidy(now);
    return changed.result;
  }

  async close(): Promise<void> {}

  private tidy(now: number): void {
    let steps = TIDY_STEPS;
    for (const [key, entry] of this.entries) {
      // What was looked at goes to the end, so that the next ones are looked at in their turn.
      this.entries.delete(key);
      if (entry.endsAt > now) this.entries.set(key, entry);
      if (--steps === 0) return;
    }
  }
}
