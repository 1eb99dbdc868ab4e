import type { QueueFile } from './queue-file.js';
import type { QueueTotals } from './queue-entry.js';

const NOTHING: QueueTotals = { depth: 0, bytes: 0, dead: 0 };

/** How much each queue holds: counted, never searched for. */
export class QueueStatistics {
  private queues = new Map<string, QueueTotals>();
  /** Entries of all queues. */
  depth = 0;

  of(queue: string): QueueTotals {
    return this.queues.get(queue) ?? NOTHING;
  }

  names(): string[] {
    return [...this.queues.keys()];
  }

  add(queue: string, depth: number, bytes: number, dead = 0): void {
    const before = this.of(queue);
    const after = { depth: before.depth + depth, bytes: before.bytes + bytes, dead: before.dead + dead };
    this.depth += depth;
    if (after.depth === 0 && after.bytes === 0 && after.dead === 0) this.queues.delete(queue);
    else this.queues.set(queue, after);
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
