import type { Message } from '@aws-sdk/client-sqs';
import { DeliveryLostError } from '../../errors/handling-errors.js';
import type { Outgoing, PublishResult } from '../../transport/outgoing.js';
import { SettledOnce, type Settler as KitSettler } from '../kit/settled-once.js';
import { decode } from './codec.js';

/** SQS takes a message back so long after it was received, whatever is asked. Less a little, for clocks that differ. */
const LONGEST_HELD_MS = 43_200_000 - 5_000;

/** The session that a delivery came in, as long as that lasts. */
export interface Settler extends KitSettler<SqsDelivery> {
  ackConfirmed(delivery: SqsDelivery): Promise<boolean>;
  extend(delivery: SqsDelivery, ms: number): Promise<void>;
  /** Of a message that keeps its order. */
  move(delivery: SqsDelivery, to: Outgoing): Promise<PublishResult>;
}

/** How a delivery is read: its queue, the topic of what other clients send with a route, and when it came. */
export interface Receipt {
  readonly queue: string;
  readonly topic: string;
  /** By the monotonic clock, before it was asked for. */
  readonly at: number;
  readonly leaseMs: number;
  /** How often this process delivered the message again by itself, less how often it gave the message back uncalled. */
  readonly again?: number;
}

export class SqsDelivery extends SettledOnce<Message, Settler> {
  readonly handle: string;
  /** Until when it is ours, by the monotonic clock. */
  until: number;
  private readonly receivedAt: number;

  constructor(
    received: Message,
    readonly receipt: Receipt,
    settler: Settler,
  ) {
    const { queue, topic: usual, at, leaseMs, again = 0 } = receipt;
    const { message, topic } = decode(received, queue, usual);
    const count = Math.max(0, Number(received.Attributes?.ApproximateReceiveCount ?? 1) - 1 + again);
    super(message, queue, topic === undefined, topic, count, received, settler);
    this.handle = received.ReceiptHandle!;
    this.receivedAt = at;
    this.until = at + leaseMs;
  }

  get raw(): Message {
    return structuredClone(this.received);
  }

  /** When SQS got it, in milliseconds of its own clock. */
  get sentAt(): number {
    return Number(this.received.Attributes?.SentTimestamp ?? 0);
  }

  /** Of a FIFO queue. */
  get group(): string {
    return this.received.Attributes?.MessageGroupId ?? '';
  }

  async extend(ms: number): Promise<void> {
    await this.holder?.extend(this, ms);
  }

  /** So many seconds of `ms` can be asked for, of the 12 hours that SQS lets anybody have a message; rounded up. */
  seconds(ms: number, now: number): number {
    const left = LONGEST_HELD_MS - (now - this.receivedAt);
    return Math.max(0, Math.min(Math.ceil(ms / 1_000), Math.floor(left / 1_000)));
  }
}

/** One of a FIFO queue: a copy to its own queue would lose the place, so that the message itself is held back instead. */
export class FifoDelivery extends SqsDelivery {
  /** The same message once more; `counts`: it was handled. */
  anew(settler: Settler, counts: boolean): FifoDelivery {
    const { again = 0 } = this.receipt;
    const delivery = new FifoDelivery(this.received, { ...this.receipt, again: again + Number(counts) }, settler);
    delivery.until = this.until;
    return delivery;
  }

  move(to: Outgoing): Promise<PublishResult> {
    const { holder } = this;
    if (holder) return holder.move(this, to);
    const error = new DeliveryLostError('The delivery is lost, or was settled before');
    return Promise.resolve({ status: 'failed', error });
  }
}
