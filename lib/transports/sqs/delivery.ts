import type { Message } from '@aws-sdk/client-sqs';
import { SettledOnce, type Settler as KitSettler } from '../kit/settled-once.js';
import { decode } from './codec.js';

/** SQS takes a message back so long after it was received, whatever is asked. Less a little, for clocks that differ. */
const LONGEST_HELD_MS = 43_200_000 - 5_000;

/** The session that a delivery came in, as long as that lasts. */
export interface Settler extends KitSettler<SqsDelivery> {
  ackConfirmed(delivery: SqsDelivery): Promise<boolean>;
  extend(delivery: SqsDelivery, ms: number): Promise<void>;
}

/** How a delivery is read: its queue, the topic of what other clients send with a route, and when it came. */
export interface Receipt {
  readonly queue: string;
  readonly topic: string;
  /** By the monotonic clock, before it was asked for. */
  readonly at: number;
  readonly leaseMs: number;
}

export class SqsDelivery extends SettledOnce<Message, Settler> {
  readonly handle: string;
  /** Until when it is ours, by the monotonic clock. */
  until: number;
  private readonly receivedAt: number;

  constructor(received: Message, { queue, topic: usual, at, leaseMs }: Receipt, settler: Settler) {
    const { message, topic } = decode(received, queue, usual);
    const count = Number(received.Attributes?.ApproximateReceiveCount ?? 1) - 1;
    super(message, queue, topic === undefined, topic, count, received, settler);
    this.handle = received.ReceiptHandle!;
    this.receivedAt = at;
    this.until = at + leaseMs;
  }

  get raw(): Message {
    return structuredClone(this.received);
  }

  get messageId(): string {
    return this.received.MessageId!;
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
