import { isolateHeaders } from '../../../message/isolate.js';
import { SettledOnce, type Settler as KitSettler } from '../../kit/settled-once.js';
import type { RawMessage } from './decode.js';

/** The channel that a delivery came on, as long as that is open. */
export interface Settler extends KitSettler<RabbitmqDelivery> {
  reject(delivery: RabbitmqDelivery): void;
}

export class RabbitmqDelivery extends SettledOnce<RawMessage, Settler> {
  /** When it came, by the monotonic clock; only where the broker does not say why it takes deliveries back. */
  receivedAt: number | undefined = undefined;

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

  reject(): void {
    this.take()?.reject(this);
  }
}
