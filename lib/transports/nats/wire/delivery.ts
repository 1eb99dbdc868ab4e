import type { Msg, MsgHdrs } from '@nats-io/transport-node';
import { SettledOnce, type Settler as KitSettler } from '../../kit/settled-once.js';

/** The session that a delivery came in, as long as that lasts. */
export interface Settler extends KitSettler<NatsDelivery> {
  ackConfirmed(delivery: NatsDelivery): Promise<boolean>;
  renew(delivery: NatsDelivery): void;
}

export class NatsDelivery extends SettledOnce<Msg, Settler> {
  /** When the lease of the delivery began last, by the monotonic clock. */
  renewedAt = 0;

  get raw(): Msg {
    const { headers } = this.received;
    return Object.create(this.received, {
      data: { value: Uint8Array.from(this.received.data), enumerable: true },
      headers: { value: headers && copyHeaders(headers), enumerable: true },
    }) as Msg;
  }

  /** The server counts its `ackWait` from now on. It is renewed by itself as well, as long as the process lives. */
  async extend(): Promise<void> {
    this.holder?.renew(this);
  }
}

/** By what every version of the client's headers has. */
function copyHeaders(headers: MsgHdrs): MsgHdrs {
  const copy = new (headers.constructor as new () => MsgHdrs)();
  for (const [name, values] of headers) for (const value of values) copy.append(name, value);
  return copy;
}
