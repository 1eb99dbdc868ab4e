import type { CancelTimer, Clock } from '../clock/clock.js';
import type { Transport } from '../transport/transport.js';

interface Count {
  readonly count: number;
  readonly at: number;
}

/** Asks the broker now and then how many dead letters there are, so that a health probe need not. */
export class DeadLetterCounts {
  private readonly counts = new Map<string, Count>();
  private cancelTimer: CancelTimer | undefined;
  private running = false;

  constructor(
    private readonly transport: Transport,
    private readonly clock: Clock,
    private readonly intervalMs: number,
    private readonly queues: () => Iterable<string>,
  ) {}

  start(): void {
    this.running = true;
    void this.refresh();
  }

  stop(): void {
    this.running = false;
    this.cancelTimer?.();
  }

  report(): { queue: string; count: number; ageMs: number }[] {
    const now = this.clock.monotonic();
    return [...this.counts].map(([queue, { count, at }]) => ({ queue, count, ageMs: Math.round(now - at) }));
  }

  /** Counts now. A queue that cannot be counted keeps its last count and its age. */
  async refresh(): Promise<void> {
    this.cancelTimer?.();
    for (const queue of new Set(this.queues())) {
      try {
        const count = await this.transport.depth(queue);
        if (count !== undefined) this.counts.set(queue, { count, at: this.clock.monotonic() });
      } catch {
        // Disconnected: the connection's own state says so.
      }
    }
    if (this.running) this.cancelTimer = this.clock.after(this.intervalMs, () => void this.refresh());
  }
}
