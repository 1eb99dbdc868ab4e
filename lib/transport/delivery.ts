import type { WireMessage } from '../message/message.js';
import type { Outgoing, PublishResult } from './outgoing.js';

/** One message handed to one consumer. Settled once, by exactly one of `ack`, `ackConfirmed`, `release`, `reject` and `move`; after `lost` all do nothing. */
export interface Delivery {
  readonly message: WireMessage;
  readonly queue: string;
  /** Came by the queue's own name (a retry, a redrive, `sendToQueue`), not by a route: our private headers are honoured. */
  readonly direct: boolean;
  /** The topic (exchange) that the message was routed by; undefined when `direct`. */
  readonly topic?: string;
  /** How often the broker delivered the message before, where it counts; undefined where it does not. */
  readonly deliveryCount?: number;
  /** The broker has delivered the message before. Left out: `deliveryCount` tells. */
  readonly redelivered?: boolean;
  /** The message as the broker's client hands it over. Each time it is asked for it shares nothing changeable with the delivery: it is for application code. */
  readonly raw: unknown;
  /** Done: the broker forgets the message. */
  ack(): void;
  /**
   * As `ack`; resolves with whether the broker has taken it. True: the loss of this connection does not bring the message
   * back. False: it is lost, was settled before, or nobody knows: it may come again. It never rejects. Each one has its
   * own answer, also where several are sent together. Absent where the broker does not answer acks.
   */
  ackConfirmed?(): Promise<boolean>;
  /**
   * Give the message back, to be delivered again after `delayMs` (default at once). Where the broker cannot hold it as
   * long, after the longest time that it can. What comes after it does not wait for it, with its key neither, unless the
   * broker itself hands out nothing of a key before it.
   */
  release(delayMs?: number): void;
  /**
   * Hand it to the broker's own dead-lettering, which keeps it whole: for what no copy can be made of, and for what is given
   * up with `dlq: false`, for the queue's owner may have set one up. Without one it is dropped. Absent where the broker has
   * none.
   */
  reject?(): void;
  /** Publish a copy and ack as one. Absent: core publishes, waits for the confirm, then acks. */
  move?(to: Outgoing): Promise<PublishResult>;
  /**
   * Keep the message for `ms` milliseconds from now, or a whole lease where the broker cannot say how long. Once it is lost
   * this does nothing. Absent where deliveries have no lease.
   */
  extend?(ms: number): Promise<void>;
}

/** Whether the broker has delivered the message before. */
export function wasDelivered({ redelivered, deliveryCount = 0 }: Delivery): boolean {
  return redelivered ?? deliveryCount > 0;
}
