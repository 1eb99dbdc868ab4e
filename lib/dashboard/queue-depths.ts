import type { ObservedMessaging } from './observed-messaging.js';

const AGAIN_MS = 15_000;

/** How many messages are ready in the queues of subscriptions, asked of the broker while somebody looks. Nothing is read. */
export class QueueDepths {
  private readonly depths = new Map<string, number>();
  private asking = false;
  private nextAt = -Infinity;

  constructor(private readonly messaging: ObservedMessaging) {}

  get sum(): number | undefined {
    if (this.depths.size === 0) return undefined;
    return [...this.depths.values()].reduce((sum, depth) => sum + depth, 0);
  }

  of(queue: string): number | undefined {
    return this.depths.get(queue);
  }

  /** Somebody looks. */
  watch(): void {
    const { clock } = this.messaging.environment;
    if (this.asking || clock.monotonic() < this.nextAt) return;
    this.asking = true;
    void this.ask().finally(() => {
      this.asking = false;
      this.nextAt = clock.monotonic() + AGAIN_MS;
    });
  }

  /** What cannot be asked is not known: the connection says why. */
  private async ask(): Promise<void> {
    for (const { queue } of this.messaging.subscriptionSummaries()) {
      const depth = await this.messaging.depth(queue).catch(() => undefined);
      if (depth === undefined) this.depths.delete(queue);
      else this.depths.set(queue, depth);
    }
  }
}
