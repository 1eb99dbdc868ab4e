import type { Channel, ChannelModel, ConsumeMessage } from 'amqplib';
import type { SubscribeHandlers } from '../../../transport/transport.js';
import { answered, type AnswerTimeout } from '../../../clock/answered.js';
import type { ConsumerSession } from '../../kit/supervised-consumer.js';
import { Acks } from './acks.js';
import { ackTag, isAtLeast, openChannel, type AmqpError } from '../connection/amqplib.js';
import { type CountHeader, decode, deliveryCountOf, originOf, type RawMessage } from '../wire/decode.js';
import { ackTimeoutIn, describe, reply, replyCode, topologyMisconfiguration } from '../connection/broker-errors.js';
import { RabbitmqDelivery, type Settler } from '../wire/delivery.js';
import { Fence } from './fence.js';
import type { Names } from '../names.js';

/** A consumer that is cancelled while everything here is younger is cancelled for another reason. */
const SHORTEST_ACK_TIMEOUT_MS = 1_000;

export interface SessionOptions {
  readonly queue: string;
  readonly names: Names;
  /** The broker counts deliveries of this queue. */
  readonly counts: boolean;
  readonly prefetch: number;
  /** How long acks wait for others. */
  readonly ackDelayMs: number;
  /** For what the broker is asked. */
  readonly bound: AnswerTimeout;
  readonly handlers: Pick<SubscribeHandlers, 'delivery' | 'lost'>;
  warning(message: string): void;
  /** A text without credentials. */
  readonly redact: (text: string) => string;
}

/** One channel with one consumer on it, from its opening to its end. Delivery tags never outlive it. */
export class ChannelSession implements ConsumerSession, Settler {
  /** Resolves with the reason when the channel is gone or the broker cancelled the consumer. */
  readonly ended: Promise<string>;
  private readonly unsettled = new Set<RabbitmqDelivery>();
  private readonly acks: Acks;
  private readonly releasing = new Map<RabbitmqDelivery, () => void>();
  private channel!: Channel;
  private countedIn: CountHeader | undefined;
  private cancelled = false;
  private tag?: string;
  private intake: 'open' | 'paused' | 'ended' = 'paused';
  /** Came while there was no room: after a pause the broker counts the prefetch of the new consumer from zero. */
  private readonly surplus: ConsumeMessage[] = [];
  private open = true;
  private closeWhenIdle = false;
  private closed?: Promise<void>;
  private whyClosed = 'the channel was closed';
  private end!: (reason: string) => void;
  /** Consume and cancel follow each other in the order they were asked for. */
  private queue: Promise<void> = Promise.resolve();

  /** The prefetch of later consumers, as it is: of all questions the one that changes nothing. */
  private readonly fence = new Fence(
    () => {
      this.acks.flush();
      return this.channel.prefetch(this.options.prefetch);
    },
    () => this.settled(),
  );

  private constructor(private readonly options: SessionOptions) {
    const { ackDelayMs, bound, prefetch } = options;
    const start = (over: () => void): void => void bound.clock.after(ackDelayMs, over, { background: true });
    this.acks = new Acks(
      (tag, upTo) => {
        if (this.open) attempt(() => ackTag(this.channel, tag, upTo));
      },
      // What waits takes room of what the broker could deliver.
      ackDelayMs > 0 ? { start, most: prefetch / 2 } : undefined,
    );
    this.ended = new Promise((resolve) => (this.end = resolve));
  }

  static async open(model: ChannelModel, options: SessionOptions): Promise<ChannelSession> {
    const session = new ChannelSession(options);
    if (options.counts) session.countedIn = isAtLeast(model, 4, 3) ? 'x-acquired-count' : 'x-delivery-count';
    session.channel = await openChannel(model, {
      ended: (error) => session.channelEnded(error),
      defect: (error) => options.warning(`A delivery handler failed: ${error.message}`),
    });
    try {
      await session.channel.prefetch(options.prefetch);
    } catch (error) {
      void session.close();
      throw error;
    }
    return session;
  }

  /** Deliveries arrive from now on. */
  consume(): Promise<void> {
    this.intake = 'open';
    this.handOverSurplus();
    const begun = this.enqueue(async () => {
      if (this.intake !== 'open' || this.tag !== undefined) return;
      const { consumerTag } = await this.channel.consume(this.options.queue, this.receive, { noAck: false });
      this.tag = consumerTag;
    });
    return answered(begun, this.options.bound).catch((error: unknown) => {
      throw this.forbidden(error) ?? error;
    });
  }

  /** The user may not read the queue. Exclusive use by another consumer is no misconfiguration: it ends. */
  private forbidden(error: unknown): Error | undefined {
    if (replyCode(error) !== reply.accessRefused || describe(error).includes('exclusive')) return undefined;
    return topologyMisconfiguration(error, `the queue «${this.options.queue}»`, this.options.redact);
  }

  /** No delivery is handed over from now on, until `consume`. */
  pause(): Promise<void> {
    this.intake = 'paused';
    return this.cancel();
  }

  /** Resolves when no delivery comes any more: the broker knows, or the channel is gone. */
  stop(): Promise<void> {
    this.intake = 'ended';
    return this.cancel();
  }

  private cancel(): Promise<void> {
    return this.enqueue(async () => {
      const tag = this.tag;
      if (this.intake === 'open') return;
      this.tag = undefined;
      if (tag !== undefined) await this.channel.cancel(tag);
      // The surplus is given back only now, or it would come right back.
      for (const raw of this.surplus.splice(0)) this.giveBack(raw);
    }).catch(() => {});
  }

  /** Closes the channel as soon as nothing on it is unsettled. */
  finish(): void {
    this.closeWhenIdle = true;
    this.closeIfIdle();
  }

  giveUp(reason: string): void {
    void this.close(reason);
  }

  /**
   * Closes the channel; what is unsettled goes back to the broker. Resolves when the broker has answered: an ack that it
   * has not read by the time the connection closes is lost.
   */
  close(reason?: string): Promise<void> {
    if (reason !== undefined) this.whyClosed = reason;
    this.acks.flush();
    this.closed ??= this.channel.close().catch(() => {});
    return this.closed;
  }

  ack(delivery: RabbitmqDelivery): void {
    this.unsettled.delete(delivery);
    if (this.open) this.acks.give(delivery.received.fields.deliveryTag);
    this.settled();
  }

  ackConfirmed(delivery: RabbitmqDelivery): Promise<boolean> {
    if (!this.open) return Promise.resolve(false);
    this.unsettled.delete(delivery);
    this.acks.give(delivery.received.fields.deliveryTag);
    const read = this.fence.passed();
    this.settled();
    return read;
  }

  reject(delivery: RabbitmqDelivery): void {
    this.unsettled.delete(delivery);
    this.nack(delivery.received, false);
    this.settled();
  }

  release(delivery: RabbitmqDelivery, delayMs: number): void {
    this.unsettled.delete(delivery);
    if (!this.open) return;
    if (delayMs <= 0) {
      this.giveBack(delivery.received);
      return this.settled();
    }
    const cancel = this.options.bound.clock.after(delayMs, () => {
      this.releasing.delete(delivery);
      this.giveBack(delivery.received);
      this.settled();
    });
    this.releasing.set(delivery, cancel);
  }

  private giveBack(raw: RawMessage): void {
    this.nack(raw, true);
  }

  private nack(raw: RawMessage, requeue: boolean): void {
    if (!this.open) return;
    attempt(() => this.channel.nack(raw, false, requeue));
    this.acks.settled(raw.fields.deliveryTag);
  }

  private settled(): void {
    if (this.surplus.length > 0) this.handOverSurplus();
    if (this.closeWhenIdle) this.closeIfIdle();
  }

  private readonly receive = (raw: ConsumeMessage | null): void => {
    if (raw === null) {
      // The queue was deleted or moved. With the channel everything that came from it is given back.
      this.cancelled = true;
      this.end('the broker cancelled the consumer');
      void this.close();
      return;
    }
    this.acks.delivered(raw.fields.deliveryTag);
    if (this.intake === 'paused' || this.unsettled.size >= this.options.prefetch) this.surplus.push(raw);
    else this.handOver(raw);
  };

  private handOverSurplus(): void {
    while (this.surplus.length > 0 && this.intake === 'open' && this.unsettled.size < this.options.prefetch)
      this.handOver(this.surplus.shift()!);
  }

  private handOver(raw: ConsumeMessage): void {
    const { queue, names, handlers } = this.options;
    const origin = originOf(raw, names);
    const message = decode(raw, queue, origin, names);
    const delivery = new RabbitmqDelivery(
      message,
      queue,
      origin.direct,
      origin.topic,
      deliveryCountOf(raw, this.countedIn),
      raw,
      this,
    );
    this.unsettled.add(delivery);
    if (this.countedIn === 'x-acquired-count') delivery.receivedAt = this.options.bound.clock.monotonic();
    handlers.delivery(delivery);
  }

  private channelEnded(error: AmqpError | undefined): void {
    this.open = false;
    this.surplus.length = 0;
    for (const cancel of this.releasing.values()) cancel();
    this.releasing.clear();
    const lost = [...this.unsettled];
    const lateMs = this.cancelled ? this.lateSince(lost[0]) : ackTimeoutIn(error?.message ?? '');
    this.unsettled.clear();
    for (const delivery of lost) {
      delivery.abandon();
      this.options.handlers.lost(delivery, lateMs);
    }
    this.end(error ? error.message : this.whyClosed);
  }

  /** Since 4.3 the broker cancels the consumer over an ack that does not come in time, and says no more. */
  private lateSince(oldest: RabbitmqDelivery | undefined): number | undefined {
    if (oldest?.receivedAt === undefined) return undefined;
    const age = Math.floor(this.options.bound.clock.monotonic() - oldest.receivedAt);
    return age >= SHORTEST_ACK_TIMEOUT_MS ? age : undefined;
  }

  private closeIfIdle(): void {
    if (this.open && this.unsettled.size === 0 && this.releasing.size === 0 && !this.fence.busy) void this.close();
  }

  private enqueue(work: () => Promise<void>): Promise<void> {
    const done = this.queue.then(work);
    this.queue = done.catch(() => {});
    return done;
  }
}

/** amqplib throws on a channel that is closing: its deliveries are given back by that anyway. */
function attempt(settle: () => void): void {
  try {
    settle();
  } catch {
    // See above.
  }
}
