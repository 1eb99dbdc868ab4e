import { randomUUID } from 'node:crypto';
import type { Message } from '@aws-sdk/client-sqs';
import type { CancelTimer } from '../../clock/clock.js';
import { sleep } from '../../clock/sleep.js';
import { CONFIRMED, type Outgoing, type PublishResult } from '../../transport/outgoing.js';
import { Waiters } from '../../transport/waiters.js';
import type { ConsumerSession } from '../kit/supervised-consumer.js';
import { type MessageSource, MOST_AT_ONCE, type SessionOptions } from './claims.js';
import { FifoDelivery, SqsDelivery, type Settler } from './delivery.js';
import { isGone } from './errors.js';
import { Lanes, putOffFor } from './lanes.js';
import type { QueueRecord } from './routes.js';
import { Settlements } from './settlements.js';
import { shortPause } from './short-pause.js';
import { Uncalled } from './uncalled.js';

/** So many failed requests in a row end a session: what it holds is another's then. */
const MOST_FAILURES = 5;
const FAILED_PAUSE_MS = 250;
/** Polls at a time, where one brings as much as it can. */
const MOST_POLLS = 4;
/** So many times the prefetch may be handled and not removed yet. */
const MOST_ACKS = 4;

/** Polls a queue as long as there is room, and settles in batches. What it holds is hidden from others, again and again. */
export class SqsSession implements ConsumerSession, Settler {
  readonly ended: Promise<string>;
  private readonly id = randomUUID().slice(0, 8);
  private readonly held = new Set<SqsDelivery>();
  private readonly early: SqsDelivery[] = [];
  private readonly lanes?: Lanes;
  /** First of their group, until they come once more. */
  private readonly resting = new Map<SqsDelivery, CancelTimer>();
  private readonly uncalled = new Uncalled();
  private readonly settlements: Settlements;
  private readonly waiters = new Waiters();
  private readonly over = new AbortController();
  private mode: 'idle' | 'consuming' | 'paused' | 'stopped' = 'idle';
  private readonly polls = new Set<Promise<void>>();
  /** Room that polls under way may fill. */
  private reserved = 0;
  private finishing = false;
  private failures = 0;
  private presentAt = -Infinity;
  private cancelTick: CancelTimer;
  private resolveEnded!: (reason: string) => void;

  constructor(
    readonly claims: MessageSource,
    private readonly options: SessionOptions,
  ) {
    this.ended = new Promise((resolve) => (this.resolveEnded = resolve));
    if (options.fifo) this.lanes = new Lanes();
    this.settlements = new Settlements(claims, {
      clock: options.clock,
      over: this.over.signal,
      succeeded: () => (this.failures = 0),
      failed: (error) => this.failed(error),
      settled: () => this.waiters.wake(),
      idle: () => void (this.finishing && this.finish()),
    });
    this.cancelTick = this.nextTick();
  }

  async consume(): Promise<void> {
    await this.sayPresent();
    if (this.over.signal.aborted || this.mode === 'stopped') return;
    this.mode = 'consuming';
    for (const delivery of this.early.splice(0)) this.options.handlers.delivery(delivery);
    this.waiters.wake();
    if (this.polls.size === 0) this.startPoll();
  }

  pause(): void {
    if (this.mode === 'consuming') this.mode = 'paused';
  }

  /** What a poll that is under way still brings goes back, unseen. */
  async stop(): Promise<void> {
    if (this.mode === 'stopped') return;
    this.mode = 'stopped';
    this.waiters.wake();
    this.claims.close();
    const unseen = [...this.early.splice(0), ...(this.lanes?.waiting() ?? []), ...this.resting.keys()];
    this.giveBack([...new Set(unseen)], true);
    await this.options.present(this.id, false).catch(() => {});
  }

  finish(): void {
    this.finishing = true;
    if (this.held.size === 0 && this.polls.size === 0 && !this.settlements.flushing) this.end('stopped');
  }

  giveUp(reason: string): void {
    this.end(reason);
  }

  /** What is unsettled goes back. */
  async close(): Promise<void> {
    await this.stop();
    this.giveBack([...this.held], false);
    await Promise.all(this.polls);
    await this.settlements.flushing;
    this.end('closed');
  }

  get record(): QueueRecord {
    return this.options.record;
  }

  get started(): boolean {
    return this.mode !== 'idle';
  }

  get consuming(): boolean {
    return this.mode === 'consuming';
  }

  /** What its source says is not ours any more is lost. */
  async check(): Promise<void> {
    await this.keep([...this.held], this.options.leaseMs);
  }

  /** There may be something new. */
  wake(): void {
    this.waiters.wake();
  }

  ack(delivery: SqsDelivery): void {
    this.settlements.ack({ delivery });
    this.settle(delivery);
  }

  ackConfirmed(delivery: SqsDelivery): Promise<boolean> {
    return new Promise((answer) => {
      this.settlements.ack({ delivery, answer });
      this.settle(delivery);
    });
  }

  release(delivery: SqsDelivery, delayMs: number): void {
    if (delivery instanceof FifoDelivery && this.restsHere) return this.rest(delivery, delayMs, true);
    this.settlements.release({ delivery, delayMs });
    if (this.lanes) {
      const following = this.deliveriesOf(this.claims.stopGroup?.(delivery) ?? [], this.options.clock.monotonic());
      for (const one of following) this.held.add(one);
      this.giveBack([...this.lanes.behind(delivery), ...following], true);
    }
    this.settle(delivery);
  }

  /** What is only put off keeps its place, and its attempt; everything else is a copy. */
  async move(delivery: SqsDelivery, to: Outgoing): Promise<PublishResult> {
    const delayMs = putOffFor(to, this.record.queue, this.options.clock.now());
    if (delayMs === undefined) {
      const result = await this.options.publish(to);
      if (result.status === 'confirmed') delivery.ack();
      return result;
    }
    if (!this.restsHere) delivery.release(delayMs);
    else if (this.held.has(delivery)) this.rest(delivery as FifoDelivery, delayMs, false);
    delivery.abandon();
    return CONFIRMED;
  }

  /** Every lease is renewed well before its end. */
  async extend(delivery: SqsDelivery, ms: number): Promise<void> {
    if (ms > this.options.leaseMs) await this.keep([delivery], ms);
  }

  /** What an earlier session had and can settle no more: what was acked is removed, the rest is there for anybody. */
  async recover(previous: SqsSession): Promise<void> {
    const held = [...previous.held].map((delivery) => ({ delivery, delayMs: 0 }));
    await this.settlements.recover(previous.settlements, held);
    previous.held.clear();
  }

  end(reason: string): void {
    if (this.over.signal.aborted) return;
    this.mode = 'stopped';
    this.over.abort();
    this.cancelTick();
    for (const cancel of this.resting.values()) cancel();
    this.waiters.wake();
    this.claims.close();
    this.claims.end?.();
    this.settlements.end();
    const unseen = new Set([...this.early, ...this.resting.keys(), ...(this.lanes?.waiting() ?? [])]);
    for (const delivery of this.held) this.lose(delivery, unseen.has(delivery));
    this.resolveEnded(reason);
  }

  private lose(delivery: SqsDelivery, wasUnseen: boolean): void {
    delivery.abandon();
    if (!wasUnseen) this.options.handlers.lost(delivery);
  }

  private startPoll(): void {
    const poll: Promise<void> = this.poll().finally(() => {
      this.polls.delete(poll);
      if (this.finishing) this.finish();
    });
    this.polls.add(poll);
  }

  private async poll(): Promise<void> {
    while (this.mode === 'consuming') {
      const room = Math.min(MOST_AT_ONCE, this.room());
      if (room <= 0) {
        if (this.polls.size > 1) return;
        await this.waiters.wait(this.over.signal);
        continue;
      }
      this.reserved += room;
      let found: number;
      try {
        const at = this.options.clock.monotonic();
        const messages = await this.claims.receive(room);
        found = messages.length;
        this.failures = 0;
        this.received(messages, at);
      } catch (error) {
        await this.failed(error);
        continue;
      } finally {
        this.reserved -= room;
      }
      if (found === MOST_AT_ONCE && this.polls.size < MOST_POLLS && this.room() > 0) this.startPoll();
      if (found > 0) continue;
      if (this.polls.size > 1) return;
      if (!this.options.waits) await shortPause(this.options.clock, this.waiters, this.over.signal);
    }
  }

  private room(): number {
    const { prefetch } = this.options;
    return prefetch - this.held.size - this.reserved - Math.max(0, this.settlements.unconfirmed - MOST_ACKS * prefetch);
  }

  private deliveriesOf(messages: readonly Message[], at: number): SqsDelivery[] {
    const { topic, leaseMs } = this.options;
    const of = { queue: this.record.queue, topic, at, leaseMs };
    const Kind = this.lanes ? FifoDelivery : SqsDelivery;
    return messages.map((one) => new Kind(one, { ...of, again: -this.uncalled.of(one.MessageId!) }, this));
  }

  private received(messages: readonly Message[], at: number): void {
    const deliveries = this.deliveriesOf(messages, at);
    // Too late: whoever comes next has it, and not after the lease.
    if (this.over.signal.aborted)
      return void this.claims.hideAll(deliveries.map((delivery) => ({ delivery, seconds: 0 })));
    for (const delivery of deliveries) this.held.add(delivery);
    if (this.isStopped()) return this.giveBack(deliveries, true);
    for (const delivery of deliveries) {
      if (this.lanes && this.claims.isStopped?.(delivery.received)) this.giveBack([delivery], true);
      else if (this.lanes?.add(delivery) ?? true) this.deliver(delivery);
    }
  }

  private deliver(delivery: SqsDelivery): void {
    if (this.mode === 'consuming') this.options.handlers.delivery(delivery);
    else if (this.isStopped()) this.giveBack([delivery], true);
    else this.early.push(delivery);
  }

  /** The first of its group comes once more, here and after a while: those behind it wait, and it keeps its lease. */
  private rest(delivery: FifoDelivery, delayMs: number, counts: boolean): void {
    const next = delivery.anew(this, counts);
    this.held.delete(delivery);
    this.held.add(next);
    this.lanes?.again(delivery, next);
    const due = (): void => {
      if (this.resting.delete(next) && this.held.has(next)) this.deliver(next);
    };
    this.resting.set(next, this.options.clock.after(delayMs, due, { background: true }));
  }

  private get restsHere(): boolean {
    return this.options.rests && this.mode === 'consuming';
  }

  private isStopped(): boolean {
    return this.mode === 'stopped';
  }

  private async failed(error: unknown): Promise<void> {
    if (this.over.signal.aborted) return;
    if (isGone(error)) return this.end('the queue is gone');
    if (++this.failures >= MOST_FAILURES) return this.end(this.options.describe(error));
    await sleep(this.options.clock, FAILED_PAUSE_MS * this.failures, this.over.signal);
  }

  private settle(delivery: SqsDelivery): void {
    this.held.delete(delivery);
    this.resting.get(delivery)?.();
    this.resting.delete(delivery);
    const next = this.lanes?.next(delivery);
    if (next) queueMicrotask(() => this.held.has(next) && this.deliver(next));
    this.waiters.wake();
  }

  private giveBack(deliveries: readonly SqsDelivery[], unseen: boolean): void {
    if (this.over.signal.aborted) return;
    for (const delivery of deliveries) {
      this.lose(delivery, unseen);
      if (unseen) this.uncalled.add(delivery.received.MessageId!);
      this.settlements.release({ delivery, delayMs: 0 });
      this.settle(delivery);
    }
  }

  private nextTick(): CancelTimer {
    const { clock, leaseMs } = this.options;
    return clock.after(leaseMs / 3, () => void this.tick(), { background: true });
  }

  /** Renews every lease, and tells what another may have by now because this process did not get round to it. */
  private async tick(): Promise<void> {
    const { leaseMs } = this.options;
    try {
      await this.keep([...this.held], leaseMs);
      if (this.mode === 'consuming') await this.sayPresent();
    } catch {
      // The next one comes before the leases have run out; a link that is gone ends the session.
    }
    const now = this.options.clock.monotonic();
    for (const delivery of this.held) if (delivery.until <= now) this.forget(delivery);
    if (!this.over.signal.aborted) this.cancelTick = this.nextTick();
  }

  private async keep(deliveries: readonly SqsDelivery[], ms: number): Promise<void> {
    const lost = await this.claims.keep(deliveries, ms, this.options.clock.monotonic());
    for (const delivery of lost) if (this.held.has(delivery)) this.forget(delivery);
  }

  private forget(delivery: SqsDelivery): void {
    this.giveBack(this.lanes?.behind(delivery) ?? [], true);
    this.lanes?.next(delivery);
    this.held.delete(delivery);
    const at = this.early.indexOf(delivery);
    if (at >= 0) this.early.splice(at, 1);
    const cancel = this.resting.get(delivery);
    cancel?.();
    this.resting.delete(delivery);
    this.lose(delivery, at >= 0 || cancel !== undefined);
    this.waiters.wake();
  }

  private async sayPresent(): Promise<void> {
    const now = this.options.clock.monotonic();
    if (now - this.presentAt < this.options.presentEveryMs) return;
    this.presentAt = now;
    await this.options.present(this.id, true);
  }
}
