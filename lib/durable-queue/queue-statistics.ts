import type { QueueFile } from './queue-file.js';
import type { QueueTotals } from './queue-entry.js';

const NOTHING: QueueTotals = { depth: 0, bytes: 0, dead: 0 };

/** How much each queue holds: counted, never searched for. */
export class QueueStatistics {
  private readonly queues = new Map<string, { -readonly [Name in keyof QueueTotals]: number }>();
  /** Entries of all queues. */
  depth = 0;

  of(queue: string): QueueTotals {
    return this.queues.get(queue) ?? NOTHING;
  }

  names(): string[] {
    return [...this.queues.keys()];
  }

  add(queue: string, depth: number, bytes: number, dead = 0): void {
    this.depth += depth;
    let totals = this.queues.get(queue);
    if (!totals) this.queues.set(queue, (totals = { depth: 0, bytes: 0, dead: 0 }));
    totals.depth += depth;
    totals.bytes += bytes;
    totals.dead += dead;
    if (totals.depth === 0 && totals.bytes === 0 && totals.dead === 0) this.queues.delete(queue);
  }

  merge(other: QueueStatistics | ReadonlyMap<string, QueueTotals>): void {
    const queues = other instanceof QueueStatistics ? other.queues : other;
    for (const [queue, { depth, bytes, dead }] of queues) this.add(queue, depth, bytes, dead);
  }

  /** Writes what changed, within a transaction. */
  addTo(file: QueueFile): void {
    for (const [queue, totals] of this.queues) file.addTotals(queue, totals);
  }
}
