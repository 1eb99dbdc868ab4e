import type { CancelTimer, Clock } from '../clock/clock.js';
import type { Transport } from '../transport/transport.js';

interface Count {
  readonly count: number;
  readonly at: number;
}

/** After a change the counts are taken again within so many milliseconds, however many changes there are. */
const SOON_MS = 500;

/** Asks the broker now and then how many dead letters there are, so that a health probe need not. */
export class DeadLetterCounts {
  private readonly counts = new Map<string, Count>();
  private cancelTimer: CancelTimer | undefined;
  private running = false;
  private hurried = false;

  constructor(
    private readonly transport: Transport,
    private readonly clock: Clock,
    private readonly intervalMs: number,
    private readonly queues: () => Iterable<string>,
  ) {}

  start(): void {
    if (!this.transport.queues) return;
    if (this.running) return this.changed();
    this.running = true;
    void this.refresh();
  }

  stop(): void {
    this.running = false;
    this.cancelTimer?.();
  }

  /** A dead letter was written: the counts are taken again soon. */
  changed(): void {
    if (!this.running || this.hurried) return;
    this.hurried = true;
    this.cancelTimer?.();
    this.cancelTimer = this.clock.after(SOON_MS, () => void this.refresh(), { background: true });
  }

  report(): { queue: string; count: number; ageMs: number }[] {
    const now = this.clock.monotonic();
    return [...this.counts].map(([queue, { count, at }]) => ({ queue, count, ageMs: Math.round(now - at) }));
  }

  /** Counts now. A queue that cannot be counted keeps its last count and its age. */
  async refresh(): Promise<void> {
    this.cancelTimer?.();
    this.hurried = false;
    const queues = new Set(this.queues());
    for (const queue of this.counts.keys()) if (!queues.has(queue)) this.counts.delete(queue);
    for (const queue of queues) {
      try {
        const count = await this.transport.queues?.depth(queue);
        if (count !== undefined) this.counts.set(queue, { count, at: this.clock.monotonic() });
      } catch {
        // Disconnected: the connection's own state says so.
      }
    }
    if (this.running && !this.hurried)
      this.cancelTimer = this.clock.after(this.intervalMs, () => void this.refresh(), { background: true });
  }
}
