import type { Msg, Subscription } from '@nats-io/transport-node';
import type { CancelTimer, Clock } from '../../../clock/clock.js';
import { sleep } from '../../../clock/sleep.js';
import type { SubscribeHandlers } from '../../../transport/transport.js';
import type { ConsumerSession } from '../../kit/supervised-consumer.js';
import { AckAnswers } from './ack-answers.js';
import { deliveryInfo } from './ack-subject.js';
import type { Binding } from '../topology/binding.js';
import { apiCode, codeOf } from '../connection/broker-errors.js';
import { decode } from '../wire/decode.js';
import { NatsDelivery, type Settler } from '../wire/delivery.js';
import { type Link, NANOS_PER_MS } from '../connection/link.js';
import { nakWithDelay, SettlementLog } from './settlement-log.js';

/** The longest that a request waits at the server; a young session's are shorter, as a stop waits for what may be on its way. */
const PULL_EXPIRES_MS = 500;
const FIRST_PULL_EXPIRES_MS = 50;
/**
 * A request that has not expired by then has met nobody, or its end was not told: a server before 2.10 keeps silent when
 * a message comes just as a request expires.
 */
const OVERDUE_MS = 2 * PULL_EXPIRES_MS;
/** A server that has not even let a request expire for so long has lost it. */
const SILENCE_MS = 5_000;
/** How long a server that hangs may keep a stop from ending. */
const STOP_WITHIN_MS = 3_000;

/** A lease is taken for ours as long as no more than this share of it is over. */
const SAFE_SHARE = 0.9;
/** How long the server may take to read what a lost connection left behind. */
const RECOVERY_MS = 2_000;

const ACK = Buffer.from('+ACK');
const NAK = Buffer.from('-NAK');
const IN_PROGRESS = Buffer.from('+WPI');

export interface SessionOptions {
  readonly queue: string;
  readonly stream: string;
  readonly consumer: string;
  readonly prefetch: number;
  readonly ackWait: number;
  readonly clock: Clock;
  readonly handlers: Pick<SubscribeHandlers, 'delivery' | 'lost'>;
  /** When the consumer was made: one made again under its name is another, with numbers of its own. */
  readonly created: string;
  /** What is meant for the queue; undefined where everything of the consumer is. */
  binding(): Binding | undefined;
}

/**
 * Consuming over one connection. Messages are asked for by pull requests, never more than `prefetch` less what is
 * unsettled, so that prefetch holds without a limit on the server, where what is given back for later would count.
 */
export class PullSession implements ConsumerSession, Settler {
  readonly ended: Promise<string>;
  private readonly inbox: string;
  private readonly subscription: Subscription;
  private readonly unsettled = new Set<NatsDelivery>();
  /** Arrived while paused. */
  private waiting: NatsDelivery[] = [];
  /** Asked for and not arrived. */
  private requested = 0;
  private mode: 'consuming' | 'paused' | 'stopped' | 'ended' = 'paused';
  private stopped?: Promise<void>;
  private pullScheduled = false;
  private readonly since: number;
  private heardAt: number;
  private askedAt = 0;
  /** When the server showed that it has read all that was asked. */
  private readAt?: number;
  private cancelTick: CancelTimer;
  private resolveEnded!: (reason: string) => void;
  private readonly idle = new Set<() => void>();
  private readonly recent: SettlementLog;
  private readonly answers: AckAnswers;
  private lost: readonly NatsDelivery[] = [];

  constructor(
    private readonly link: Link,
    private readonly options: SessionOptions,
  ) {
    this.ended = new Promise((resolve) => (this.resolveEnded = resolve));
    this.inbox = link.inbox();
    this.recent = new SettlementLog(options.clock, options.ackWait * SAFE_SHARE);
    this.answers = new AckAnswers(link, options.clock, options.ackWait, () => this.progress());
    this.since = this.heardAt = options.clock.monotonic();
    this.cancelTick = this.nextTick();
    this.subscription = link.connection.subscribe(this.inbox, {
      callback: (error, message) => {
        if (error) this.end(error.message);
        else this.received(message);
      },
    });
  }

  consume(): void {
    if (this.mode !== 'paused') return;
    this.mode = 'consuming';
    this.heardAt = this.options.clock.monotonic();
    for (const delivery of this.waiting.splice(0)) {
      if (this.unsettled.has(delivery)) this.options.handlers.delivery(delivery);
    }
    this.pull();
  }

  pause(): void {
    if (this.mode === 'consuming') this.mode = 'paused';
  }

  /** Resolves when nothing is on its way any more. What arrives until then is delivered. */
  stop(): Promise<void> {
    return (this.stopped ??= this.endIntake());
  }

  private async endIntake(): Promise<void> {
    if (this.mode === 'ended') return;
    this.mode = 'stopped';
    for (const delivery of this.waiting.splice(0)) delivery.release();
    if (this.requested === 0) return;
    const given = new AbortController();
    this.idle.add(() => given.abort());
    await sleep(this.options.clock, STOP_WITHIN_MS, given.signal);
  }

  /** Nothing is asked for, and nothing unsettled any more: the session can end. */
  finish(): void {
    if (this.mode === 'stopped' && this.unsettled.size === 0 && this.answers.size === 0) this.end('stopped');
  }

  /** What is on its way still comes, and is given back by the next session. */
  giveUp(reason: string): void {
    void this.stop().then(() => this.end(reason));
  }

  disconnected(reason: string): void {
    this.end(reason);
  }

  /** Gives back everything that is unsettled. */
  async close(): Promise<void> {
    await this.stop();
    for (const delivery of [...this.unsettled]) {
      delivery.abandon();
      this.respond(delivery, NAK);
    }
    this.end('closed');
  }

  /** The connection is gone, or the consumer is: nothing can be settled any more. */
  end(reason: string): void {
    if (this.mode === 'ended') return;
    this.mode = 'ended';
    this.cancelTick();
    this.subscription.unsubscribe();
    const lost = (this.lost = [...this.unsettled]);
    this.unsettled.clear();
    const unseen = new Set(this.waiting.splice(0));
    for (const delivery of lost) {
      delivery.abandon();
      if (!unseen.has(delivery)) this.options.handlers.lost(delivery);
    }
    this.answers.end();
    this.becomeIdle();
    this.resolveEnded(reason);
  }

  /**
   * Goes on where a session ended with its connection, while nobody else can have its messages: what was settled last,
   * and perhaps never read by the server, is settled again; what was lost is given back, before anything is asked for.
   */
  async recover(previous: PullSession): Promise<void> {
    const { clock, ackWait, created } = this.options;
    const { connection } = this.link;
    if (!isSame(previous.options.created, created)) return;
    previous.recent.replay((reply, how) => connection.publish(reply, how));
    const now = clock.monotonic();
    const mine = previous.lost.filter(({ renewedAt }) => now - renewedAt < ackWait * SAFE_SHARE);
    const answered = mine.map(({ received: { reply = '' } }) =>
      connection.request(reply, NAK, { timeout: RECOVERY_MS }),
    );
    await Promise.allSettled(answered);
  }

  ack(delivery: NatsDelivery): void {
    this.settle(delivery, ACK, 0);
  }

  ackConfirmed(delivery: NatsDelivery): Promise<boolean> {
    const { reply } = delivery.received;
    if (!reply || !this.unsettled.delete(delivery)) return Promise.resolve(false);
    this.recent.add(reply, ACK, 0);
    const taken = this.answers.ack(reply);
    this.progress();
    return taken;
  }

  release(delivery: NatsDelivery, delayMs: number): void {
    this.settle(delivery, delayMs > 0 ? nakWithDelay(delayMs) : NAK, delayMs);
  }

  renew(delivery: NatsDelivery): void {
    delivery.renewedAt = this.options.clock.monotonic();
    this.respond(delivery, IN_PROGRESS);
  }

  private settle(delivery: NatsDelivery, how: Uint8Array, delayMs: number): void {
    if (!this.unsettled.delete(delivery)) return;
    // Before the client has planned its write: what is asked for then goes out with it, behind it.
    if (this.mode === 'consuming') this.schedulePull();
    this.respond(delivery, how);
    if (how !== NAK) this.recent.add(delivery.received.reply ?? '', how, delayMs);
    if (this.mode !== 'consuming') this.progress();
  }

  /** Something was settled, or its ack was answered. */
  private progress(): void {
    if (this.mode === 'consuming') this.schedulePull();
    else if (this.mode === 'stopped' && this.requested === 0) this.finish();
  }

  private respond({ received: { reply } }: NatsDelivery, how: Uint8Array): void {
    if (reply && !this.link.connection.isClosed()) this.link.connection.publish(reply, how);
  }

  private received(message: Msg): void {
    this.heardAt = this.options.clock.monotonic();
    const code = message.headers?.code ?? 0;
    if (code > 0 && message.subject === this.inbox) return this.status(code, message);
    if (this.requested > 0) this.requested--;
    const info = deliveryInfo(message);
    const binding = this.options.binding();
    const origin = binding ? binding.originOf(message.subject, info.sequence) : { direct: false };
    if (!origin) {
      // The filters cannot say that the message is not for this queue.
      if (message.reply) this.link.connection.publish(message.reply, ACK);
    } else {
      const { queue, handlers } = this.options;
      const decoded = decode(message.data, message.headers, queue, origin);
      const delivery = new NatsDelivery(decoded, queue, origin.direct, origin.topic, info.count - 1, message, this);
      delivery.renewedAt = this.heardAt;
      this.unsettled.add(delivery);
      if (this.mode === 'paused') this.waiting.push(delivery);
      else handlers.delivery(delivery);
    }
    if (this.mode === 'consuming') this.schedulePull();
    if (this.requested === 0) this.becomeIdle();
  }

  /** The end of a request, or of all. */
  private status(code: number, message: Msg): void {
    const text = message.headers?.description ?? '';
    if (code === 100) return;
    const left = Number(message.headers?.get('Nats-Pending-Messages') || NaN);
    const over = code === 404 || code === 408 || /exceeded maxwaiting/i.test(text);
    if (!over) return void this.end(`${code} ${text || (code === 503 ? 'the consumer is gone' : 'consumer')}`.trim());
    this.requested = Math.max(0, this.requested - (Number.isNaN(left) ? this.requested : left));
    if (this.mode === 'consuming') this.schedulePull();
    if (this.requested === 0) this.becomeIdle();
  }

  /** Asks once for all that is settled in one turn. */
  private schedulePull(): void {
    if (this.pullScheduled) return;
    this.pullScheduled = true;
    queueMicrotask(() => {
      this.pullScheduled = false;
      this.pull();
    });
  }

  /** In few requests, each worth its while, and at least one as long as there is room. */
  private pull(): void {
    if (this.mode !== 'consuming' || this.link.connection.isClosed()) return;
    const room = this.options.prefetch - this.unsettled.size - this.answers.size - this.requested;
    if (room <= 0 || (this.requested > 0 && room < this.options.prefetch / 2)) return;
    this.askedAt = this.options.clock.monotonic();
    this.readAt = undefined;
    if (this.requested === 0) this.heardAt = this.askedAt;
    this.requested += room;
    const { stream, consumer } = this.options;
    const expires = Math.min(PULL_EXPIRES_MS, Math.max(FIRST_PULL_EXPIRES_MS, Math.ceil(this.askedAt - this.since)));
    const request = `{"batch":${room},"expires":${expires * NANOS_PER_MS}}`;
    this.link.connection.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`, request, { reply: this.inbox });
  }

  private nextTick(): CancelTimer {
    const { clock, ackWait } = this.options;
    return clock.after(Math.min(ackWait / 3, PULL_EXPIRES_MS), () => this.tick(), { background: true });
  }

  /** Renews every lease, and tells what ran out because this process did not get round to it. */
  private tick(): void {
    const { clock, ackWait, handlers } = this.options;
    const now = clock.monotonic();
    for (const delivery of [...this.unsettled]) {
      const age = now - delivery.renewedAt;
      if (age >= ackWait) {
        this.unsettled.delete(delivery);
        delivery.abandon();
        const at = this.waiting.indexOf(delivery);
        if (at >= 0) this.waiting.splice(at, 1);
        else handlers.lost(delivery, ackWait);
      } else if (age >= ackWait / 3) this.renew(delivery);
    }
    this.answers.tick();
    const silence = this.requested > 0 ? now - this.heardAt : 0;
    if (this.readAt !== undefined && now - Math.max(this.readAt, this.heardAt) > OVERDUE_MS) this.forget();
    else if (silence > SILENCE_MS) return this.end('the server does not answer');
    else if (silence > OVERDUE_MS) void this.look();
    this.cancelTick = this.nextTick();
    if (this.mode === 'consuming') this.pull();
  }

  /** Whether the consumer is still there, and the same. */
  private async look(): Promise<void> {
    const { clock, stream, consumer, created } = this.options;
    const lookedAt = clock.monotonic();
    const code = await this.link.manager.consumers
      .info(stream, consumer)
      .then((info) => isSame(info.created, created), codeOf);
    if (code === false || code === apiCode.consumerNotFound || code === apiCode.streamNotFound)
      return this.end('the consumer is gone');
    if (code === true && this.askedAt < lookedAt) this.readAt ??= clock.monotonic();
  }

  /** What was asked for has expired, and the server has not said so. */
  private forget(): void {
    this.requested = 0;
    this.readAt = undefined;
    this.heardAt = this.options.clock.monotonic();
    this.becomeIdle();
  }

  private becomeIdle(): void {
    for (const resolve of this.idle) resolve();
    this.idle.clear();
  }
}

/** A server that was started again tells the time of creation a little differently. */
function isSame(one: string, other: string): boolean {
  return Math.abs(Date.parse(one) - Date.parse(other)) < 100;
}
