import type { Msg, MsgHdrs } from '@nats-io/transport-node';
import type { WireMessage } from '../../message/message.js';
import type { Delivery } from '../../transport/delivery.js';

/** Who settles a delivery with the server: the session that it came in, as long as that lasts. */
export interface Settler {
  ack(delivery: NatsDelivery): void;
  ackConfirmed(delivery: NatsDelivery): Promise<boolean>;
  release(delivery: NatsDelivery, delayMs: number): void;
  renew(delivery: NatsDelivery): void;
}

export class NatsDelivery implements Delivery {
  private settler?: Settler;
  /** When its lease began last, by the monotonic clock. */
  renewedAt: number;

  constructor(
    readonly message: WireMessage,
    readonly queue: string,
    readonly direct: boolean,
    readonly topic: string | undefined,
    readonly deliveryCount: number | undefined,
    /** Whose bytes are the message's. */
    readonly received: Msg,
    settler: Settler,
    now: number,
  ) {
    this.settler = settler;
    this.renewedAt = now;
  }

  get raw(): Msg {
    const { headers } = this.received;
    return Object.create(this.received, {
      data: { value: Uint8Array.from(this.received.data), enumerable: true },
      headers: { value: headers && copyHeaders(headers), enumerable: true },
    }) as Msg;
  }

  ack(): void {
    const settler = this.settler;
    this.settler = undefined;
    settler?.ack(this);
  }

  ackConfirmed(): Promise<boolean> {
    const settler = this.settler;
    this.settler = undefined;
    return settler ? settler.ackConfirmed(this) : Promise.resolve(false);
  }

  release(delayMs = 0): void {
    const settler = this.settler;
    this.settler = undefined;
    settler?.release(this, delayMs);
  }

  /** The server counts its `ackWait` from now on. It is renewed by itself as well, as long as the process lives. */
  async extend(): Promise<void> {
    this.settler?.renew(this);
  }

  /** It is not ours any more: settling it does nothing from now on. */
  abandon(): void {
    this.settler = undefined;
  }
}

/** By what every version of the client's headers has. */
function copyHeaders(headers: MsgHdrs): MsgHdrs {
  const copy = new (headers.constructor as new () => MsgHdrs)();
  for (const [name, values] of headers) for (const value of values) copy.append(name, value);
  return copy;
}
