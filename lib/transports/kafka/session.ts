import { AsyncLocalStorage } from 'node:async_hooks';
import type { Clock } from '../../clock/clock.js';
import { nextTurn } from '../../clock/turn.js';
import type { SubscribeHandlers } from '../../transport/transport.js';
import type { Settler } from '../kit/settled-once.js';
import type { ConsumerSession } from '../kit/supervised-consumer.js';
import { KafkaDelivery } from './delivery.js';
import type { Intake } from './intake.js';
import type { GroupReader, RecordHolder } from './reader.js';

const RENEWED_WITHIN_MS = 10_000;

/** Out of the async context of whoever has settled something. */
const inOwnContext: (work: () => void) => void = AsyncLocalStorage.snapshot();

export interface QueueReading {
  readonly queue: string;
  /** Of what is sent to the queue by its name. */
  readonly queueTopic: string;
  readonly prefetch: number;
  readonly clock: Clock;
  readonly handlers: SubscribeHandlers;
}

/** Hands over what a reader has, as far as there is room. */
export class QueueSession implements ConsumerSession, Settler<KafkaDelivery>, RecordHolder {
  readonly ended: Promise<string>;
  private readonly held = new Set<KafkaDelivery>();
  private end!: (reason: string) => void;
  private consuming = false;
  private finishing = false;
  private isOver = false;
  private waking = false;
  /** Released, and not given back yet: as much in memory as what is held. */
  private away = 0;

  constructor(
    readonly reader: GroupReader,
    readonly reading: QueueReading,
  ) {
    this.ended = new Promise((resolve) => (this.end = resolve));
  }

  consume(): void {
    this.consuming = true;
    this.reader.attach(this);
    // It ended before anybody heard of it.
    if (this.reader.ending !== undefined) this.over(this.reader.ending);
  }

  pause(): void {
    this.consuming = false;
  }

  async stop(): Promise<void> {
    this.consuming = false;
  }

  finish(): void {
    this.finishing = true;
    if (this.held.size === 0) this.over('stopped');
  }

  /** The next session goes on with the same reader. */
  over(reason: string): void {
    if (this.isOver) return;
    this.isOver = true;
    this.consuming = false;
    this.reader.detach(this);
    for (const delivery of [...this.held].reverse()) {
      this.lose(delivery);
      this.reader.giveBack(delivery.taken);
    }
    this.end(reason);
  }

  /** The next session reads other topics: what is handled ends first, if it does so soon. */
  renew(reason: string): void {
    if (this.isOver || this.finishing) return;
    this.consuming = false;
    this.finishing = true;
    this.reading.clock.after(RENEWED_WITHIN_MS, () => this.over(reason), { background: true });
    this.settled();
  }

  giveUp(reason: string): void {
    this.over(reason);
    void this.reader.leave();
  }

  async close(): Promise<void> {
    this.over('closed');
    await this.reader.leave();
  }

  revoked(intake: Intake): void {
    for (const delivery of this.held) if (delivery.taken.intake === intake) this.lose(delivery);
    this.settled();
  }

  ack(delivery: KafkaDelivery): void {
    this.held.delete(delivery);
    this.reader.settle(delivery.taken);
    this.settled();
  }

  release(delivery: KafkaDelivery, delayMs: number): void {
    this.held.delete(delivery);
    const { taken } = delivery;
    this.away++;
    const back = (): void => {
      this.away--;
      this.reader.giveBack(taken);
      this.wake();
    };
    if (delayMs > 0) this.reading.clock.after(delayMs, back, { background: true });
    else back();
    this.settled();
  }

  wake(): void {
    if (this.waking || !this.consuming) return;
    this.waking = true;
    inOwnContext(() =>
      nextTurn(() => {
        this.waking = false;
        this.handOver();
      }),
    );
  }

  private handOver(): void {
    const { prefetch, queue, queueTopic, handlers } = this.reading;
    while (this.consuming && this.held.size + this.away < prefetch) {
      const taken = this.reader.next();
      if (!taken) return;
      const delivery = new KafkaDelivery(taken, queue, queueTopic, this);
      this.held.add(delivery);
      handlers.delivery(delivery);
    }
  }

  private lose(delivery: KafkaDelivery): void {
    this.held.delete(delivery);
    delivery.abandon();
    this.reading.handlers.lost(delivery);
  }

  private settled(): void {
    if (this.finishing && this.held.size === 0) this.over('stopped');
    else this.wake();
  }
}
