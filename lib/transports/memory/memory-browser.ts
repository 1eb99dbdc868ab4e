import { NotConnectedError } from '../../errors/publish-errors.js';
import type { Delivery } from '../../transport/delivery.js';
import type { Browser } from '../../transport/queue-operations.js';
import { MemoryDelivery, type DeliveryHolder, type Session } from './memory-delivery.js';
import type { MemoryQueue } from './memory-queue.js';

/**
 * Holds what it has shown, so that consumers do not see it meanwhile, and gives it back in order. As on RabbitMQ a look
 * counts as a delivery. One that is released stays held until `close`, else it would be the next one shown.
 */
export class MemoryBrowser implements Browser, DeliveryHolder {
  private readonly held = new Set<MemoryDelivery>();
  /** The place behind the last one that is shown. */
  readonly end: number;
  private closed = false;

  constructor(
    private readonly queue: MemoryQueue,
    private readonly session: Session,
    private readonly isConnected: () => boolean,
    rest?: MemoryBrowser,
  ) {
    this.end = rest?.end ?? queue.end;
  }

  async next(): Promise<Delivery | undefined> {
    if (this.closed) return undefined;
    if (!this.isConnected())
      throw new NotConnectedError(`The connection ended while queue «${this.queue.name}» was read`);
    const stored = this.queue.take(this.end);
    if (!stored) return undefined;
    const delivery = new BrowsedDelivery(stored, this.queue, this.session, this);
    this.held.add(delivery);
    return delivery;
  }

  async arrived(): Promise<number> {
    return this.queue.end - this.end;
  }

  async behind(): Promise<number> {
    return this.queue.ready;
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const delivery of this.held) delivery.giveBack();
    this.held.clear();
  }

  settled(delivery: MemoryDelivery): void {
    this.held.delete(delivery);
  }

  lost(delivery: MemoryDelivery): void {
    this.held.delete(delivery);
  }
}

class BrowsedDelivery extends MemoryDelivery {
  override release(): void {}
}
