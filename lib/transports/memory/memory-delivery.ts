import type { WireMessage } from '../../message/message.js';
import type { Delivery } from '../../transport/delivery.js';
import { isolate } from '../../message/isolate.js';
import type { MemoryQueue, StoredMessage } from './memory-queue.js';

/** Whom a delivery is out to. */
export interface DeliveryHolder {
  /** The delivery was acked or released: its slot is free. */
  settled(delivery: MemoryDelivery): void;
  /** The delivery went back because the connection ended. */
  lost(delivery: MemoryDelivery): void;
}

/** What one client has not settled yet. It ends with the client's connection. */
export class Session {
  readonly unsettled = new Set<MemoryDelivery>();

  /** Gives everything back to its queue, then tells the holders. */
  end(): void {
    const lost = [...this.unsettled];
    for (const delivery of lost) delivery.giveBack();
    for (const delivery of lost) delivery.holder.lost(delivery);
  }
}

/** A message of a queue, out to one holder. */
export class MemoryDelivery implements Delivery {
  readonly message: WireMessage;
  readonly queue: string;
  readonly direct: boolean;
  readonly topic: string | undefined;
  readonly deliveryCount: number;

  constructor(
    private readonly stored: StoredMessage,
    private readonly source: MemoryQueue,
    private readonly session: Session,
    /** @internal */ readonly holder: DeliveryHolder,
  ) {
    this.message = isolate(stored.message);
    this.queue = source.name;
    this.direct = stored.topic === undefined;
    this.topic = stored.topic;
    this.deliveryCount = stored.deliveryCount;
    session.unsettled.add(this);
  }

  /** As the broker keeps it. */
  get raw(): unknown {
    return isolate(this.stored.message);
  }

  ack(): void {
    if (!this.session.unsettled.delete(this)) return;
    this.holder.settled(this);
    this.source.forget();
  }

  async ackConfirmed(): Promise<boolean> {
    const ours = this.session.unsettled.has(this);
    this.ack();
    return ours;
  }

  release(delayMs = 0): void {
    if (!this.session.unsettled.delete(this)) return;
    this.holder.settled(this);
    this.source.giveBack(this.stored, delayMs);
  }

  /** @internal Back to its place because its connection ended. */
  giveBack(): void {
    if (this.session.unsettled.delete(this)) this.source.giveBack(this.stored);
  }
}
