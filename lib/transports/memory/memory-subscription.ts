import type { CancelTimer } from '../../clock/clock.js';
import { TopologyMismatchError } from '../../errors/configuration-errors.js';
import type { SubscribeHandlers, TransportSubscription } from '../../transport/transport.js';
import { type Backoff } from './backoff.js';
import { MemoryDelivery, type DeliveryHolder, type Session } from './memory-delivery.js';
import type { AttachedConsumer, MemoryQueue, StoredMessage } from './memory-queue.js';
import { reasonOf } from './reason.js';

/** What a subscription needs of its transport. */
export interface SubscriptionHost {
  readonly session: Session | undefined;
  /** The queue, when it exists. */
  queue(name: string): MemoryQueue | undefined;
  /** Makes the queue's topology exist again; throws TopologyMismatchError. */
  redeclare(queue: string): void;
  newBackoff(): Backoff;
  after(delayMs: number, callback: () => void): CancelTimer;
  warn(message: string): void;
  forget(subscription: MemorySubscription): void;
}

/** A consumer that comes back: after a reconnect when its transport says so, after a cancellation by itself. */
export class MemorySubscription implements TransportSubscription, AttachedConsumer, DeliveryHolder {
  private source: MemoryQueue | undefined;
  private unsettled = 0;
  private paused = false;
  private stopped = false;
  private cancelRetry: CancelTimer | undefined;
  private readonly backoff: Backoff;

  constructor(
    private readonly queueName: string,
    private readonly prefetch: number,
    private readonly handlers: SubscribeHandlers,
    private readonly host: SubscriptionHost,
  ) {
    this.backoff = host.newBackoff();
  }

  /** True between attach and cancellation; pausing does not change it. */
  get consuming(): boolean {
    return this.source !== undefined;
  }

  get hasRoom(): boolean {
    return !this.paused && this.unsettled < this.prefetch;
  }

  /** Starts consuming; throws TopologyMismatchError when there is no such queue. */
  attach(): void {
    const queue = this.host.queue(this.queueName);
    if (!queue)
      throw new TopologyMismatchError(`There is no queue «${this.queueName}» to consume from. Declare it first.`);
    this.source = queue;
    this.backoff.reset();
    queue.attach(this);
    this.handlers.state(true);
  }

  /** Attaches, or else tries again and again with backoff while the connection lasts. */
  recover(): void {
    this.stopRetry();
    try {
      this.attach();
    } catch (error) {
      this.retry(reasonOf(error));
    }
  }

  /** The connection ended: what was held has already gone back. */
  disconnected(reason: string): void {
    this.stopRetry();
    const consumed = this.detach();
    if (consumed) this.handlers.state(false, reason);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.source?.wake();
  }

  attachAgain(reason: string): void {
    this.cancelled(reason);
  }

  stop(): Promise<void> {
    if (this.stopped) return Promise.resolve();
    this.stopped = true;
    this.stopRetry();
    this.host.forget(this);
    if (this.detach()) this.handlers.state(false, 'stopped');
    return Promise.resolve();
  }

  deliver(stored: StoredMessage, from: MemoryQueue): void {
    this.unsettled++;
    this.handlers.delivery(new MemoryDelivery(stored, from, this.host.session!, this));
  }

  cancelled(reason: string): void {
    if (!this.detach()) return;
    this.handlers.state(false, reason);
    if (!this.stopped) this.retryLater();
  }

  settled(): void {
    this.unsettled--;
    // The slot may have been taken by a delivery of the queue's predecessor, deleted meanwhile.
    this.source?.wake();
  }

  lost(delivery: MemoryDelivery): void {
    this.unsettled--;
    this.handlers.lost(delivery);
  }

  private detach(): boolean {
    if (!this.source) return false;
    this.source.detach(this);
    this.source = undefined;
    return true;
  }

  private retry(reason: string): void {
    this.host.warn(`Queue «${this.queueName}» cannot be consumed yet: ${reason}`);
    this.retryLater();
  }

  private retryLater(): void {
    this.cancelRetry = this.host.after(this.backoff.next(), () => {
      try {
        this.host.redeclare(this.queueName);
      } catch (error) {
        return this.retry(reasonOf(error));
      }
      this.recover();
    });
  }

  private stopRetry(): void {
    this.cancelRetry?.();
    this.cancelRetry = undefined;
  }
}
