import { isolateHeaders } from '../../message/isolate.js';
import type { WireMessage } from '../../message/message.js';
import type { Delivery } from '../../transport/delivery.js';
import type { RawMessage } from './decode.js';

/** Who settles a delivery with the broker: the channel that it came on, as long as that is open. */
export interface Settler {
  ack(delivery: RabbitmqDelivery): void;
  /** Absent: nobody knows when the ack is read. */
  ackConfirmed?(delivery: RabbitmqDelivery): Promise<boolean>;
  release(delivery: RabbitmqDelivery, delayMs: number): void;
  reject(delivery: RabbitmqDelivery): void;
}

export class RabbitmqDelivery implements Delivery {
  private settler?: Settler;
  /** When it came, by the monotonic clock; only where the broker does not say why it takes deliveries back. */
  receivedAt: number | undefined = undefined;

  constructor(
    readonly message: WireMessage,
    readonly queue: string,
    readonly direct: boolean,
    readonly topic: string | undefined,
    readonly deliveryCount: number | undefined,
    /** Whose bytes and headers are the message's. */
    readonly received: RawMessage,
    settler: Settler,
  ) {
    this.settler = settler;
  }

  get raw(): RawMessage {
    const { fields, properties, content } = this.received;
    const headers = properties.headers && isolateHeaders(properties.headers);
    return {
      fields: { ...fields },
      properties: { ...properties, headers },
      content: Buffer.from(content),
    } as RawMessage;
  }

  get redelivered(): boolean {
    return this.received.fields.redelivered;
  }

  ack(): void {
    const settler = this.settler;
    this.settler = undefined;
    settler?.ack(this);
  }

  ackConfirmed(): Promise<boolean> {
    const settler = this.settler;
    this.settler = undefined;
    if (settler?.ackConfirmed) return settler.ackConfirmed(this);
    settler?.ack(this);
    return Promise.resolve(false);
  }

  release(delayMs = 0): void {
    const settler = this.settler;
    this.settler = undefined;
    settler?.release(this, delayMs);
  }

  reject(): void {
    const settler = this.settler;
    this.settler = undefined;
    settler?.reject(this);
  }

  /** It is not ours any more: settling it does nothing from now on. */
  abandon(): void {
    this.settler = undefined;
  }
}
