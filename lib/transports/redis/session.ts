import type { CancelTimer, Clock } from '../../clock/clock.js';
import { sleep } from '../../clock/sleep.js';
import { nextTurn } from '../../clock/turn.js';
import type { Outgoing, PublishResult } from '../../transport/outgoing.js';
import type { SubscribeHandlers } from '../../transport/transport.js';
import { Waiters } from '../../transport/waiters.js';
import type { ConsumerSession } from '../kit/supervised-consumer.js';
import { isForeign, isGone } from './server.js';
import { type Claims, type Release } from './claims.js';
import { RedisDelivery, type Settler } from './message.js';
import type { Source } from './publisher.js';

/** So many failed scripts in a row end a session. */
const MOST_FAILURES = 5;
const FAILED_PAUSE_MS = 250;

export interface SessionOptions {
  readonly queue: string;
  readonly prefetch: number;
  readonly leaseMs: number;
  readonly pollMs: number;
  readonly clock: Clock;
  readonly handlers: SubscribeHandlers;
  readonly describe: (error: unknown) => string;
  readonly move: (source: Source, to: Outgoing) => Promise<PublishResult>;
  /** So many messages that were given back were removed by somebody else. */
  readonly lost: (count: number) => void;
}

interface Ack {
  readonly delivery: RedisDelivery;
  readonly answer?: (taken: boolean) => void;
}

/** Takes messages of a queue as long as there is room and there are some; what is settled meanwhile goes with the same script. */
export class RedisSession implements ConsumerSession, Settler {
  readonly ended: Promise<string>;
  private readonly held = new Set<RedisDelivery>();
  private readonly early: RedisDelivery[] = [];
  private acks: Ack[] = [];
  private releases: Release[] = [];
  private readonly waiters = new Waiters();
  private readonly turned = new Waiters();
  private readonly over = new AbortController();
  private mode: 'idle' | 'consuming' | 'paused' | 'stopped' = 'idle';
  private working: Promise<void> | undefined;
  private turning = false;
  private finishing = false;
  /** There may be something to take. */
  private mayHave = true;
  private failures = 0;
  private cancelTick: CancelTimer;
  private cancelPoll: CancelTimer = () => {};
  private resolveEnded!: (reason: string) => void;

  constructor(
    private readonly claims: Claims,
    private readonly options: SessionOptions,
  ) {
    this.ended = new Promise((resolve) => (this.resolveEnded = resolve));
    this.cancelTick = this.nextTick();
  }

  get queue(): string {
    return this.options.queue;
  }

  async consume(): Promise<void> {
    // Who was given up is not to come back under the same name: others have by now what it had.
    if (!this.working && !(await this.claims.enter())) throw new Error('the queue is gone');
    if (this.isOver || this.mode === 'stopped') return;
    this.mode = 'consuming';
    for (const delivery of this.early.splice(0)) this.options.handlers.delivery(delivery);
    this.wake();
    this.working ??= this.work();
  }

  pause(): void {
    if (this.mode === 'consuming') this.mode = 'paused';
  }

  async stop(): Promise<void> {
    this.mode = 'stopped';
    this.giveBack(this.early.splice(0), true);
    await this.settled();
  }

  finish(): void {
    this.finishing = true;
    if (this.held.size === 0 && !this.hasSettled() && !this.turning && !this.isOver) void this.leave('stopped');
  }

  giveUp(reason: string): void {
    this.end(reason);
  }

  /** What is unsettled goes back to its old place. */
  async close(): Promise<void> {
    await this.stop();
    if (this.isOver) return;
    for (const delivery of this.held) this.lose(delivery);
    this.held.clear();
    await this.leave('closed');
  }

  /** There may be something new. */
  wake(): void {
    this.mayHave = true;
    this.waiters.wake();
  }

  ack(delivery: RedisDelivery): void {
    this.acks.push({ delivery });
    this.settle(delivery);
  }

  ackConfirmed(delivery: RedisDelivery): Promise<boolean> {
    return new Promise((answer) => {
      this.acks.push({ delivery, answer });
      this.settle(delivery);
    });
  }

  release(delivery: RedisDelivery, delayMs: number): void {
    this.releases.push({ delivery, delayMs, count: (delivery.deliveryCount ?? 0) + 1 });
    this.settle(delivery);
  }

  /** The lease of a consumer is that of all that it has, and is renewed well before its end. */
  async extend(_delivery: RedisDelivery, ms: number): Promise<void> {
    if (ms > this.options.leaseMs) await this.claims.beat(ms);
  }

  async move(delivery: RedisDelivery, to: Outgoing): Promise<PublishResult> {
    const { queue } = this.options;
    const result = await this.options.move({ queue, owner: this.claims.owner, delivery }, to);
    if (result.status === 'confirmed' && this.held.has(delivery)) {
      delivery.abandon();
      this.settle(delivery);
    }
    return result;
  }

  /** What an earlier session had and can settle no more: what was acked is removed, the rest is there for anybody. */
  async recover(previous: RedisSession): Promise<void> {
    const acks = previous.acks.map(({ delivery }) => delivery);
    await this.claims.takeOver(previous.claims.owner, acks, previous.releases);
  }

  end(reason: string): void {
    if (this.isOver) return;
    this.mode = 'stopped';
    this.over.abort();
    this.cancelTick();
    this.cancelPoll();
    for (const { answer } of this.acks) answer?.(false);
    for (const delivery of this.held) this.lose(delivery);
    this.resolveEnded(reason);
  }

  private get isOver(): boolean {
    return this.over.signal.aborted;
  }

  private async leave(reason: string): Promise<void> {
    await this.claims.leave().catch(() => {});
    this.end(reason);
  }

  private lose(delivery: RedisDelivery): void {
    delivery.abandon();
    if (!this.early.includes(delivery)) this.options.handlers.lost(delivery);
  }

  private settle(delivery: RedisDelivery): void {
    this.held.delete(delivery);
    this.claims.forget(delivery);
    this.waiters.wake();
  }

  private giveBack(deliveries: readonly RedisDelivery[], unseen: boolean): void {
    for (const delivery of deliveries) {
      delivery.abandon();
      this.releases.push({ delivery, delayMs: 0, count: (delivery.deliveryCount ?? 0) + (unseen ? 0 : 1) });
      this.settle(delivery);
    }
  }

  private hasSettled(): boolean {
    return this.acks.length + this.releases.length > 0 || this.claims.hasFree;
  }

  private get room(): number {
    return this.mode === 'consuming' && this.mayHave ? this.options.prefetch - this.held.size : 0;
  }

  /** Resolves when nothing is under way, and all that was settled is on the server; or when the session is over. */
  private async settled(): Promise<void> {
    while (!this.isOver && this.working && (this.turning || this.hasSettled()))
      await this.turned.wait(this.over.signal);
  }

  /** For as long as the session lasts. Whoever wakes it is not its context. */
  private async work(): Promise<void> {
    const turn = (): Promise<void> => new Promise((resolve) => nextTurn(resolve));
    while (!this.isOver) {
      if (!this.hasSettled() && this.room <= 0) {
        if (this.finishing) this.finish();
        this.turned.wake();
        await this.waiters.wait(this.over.signal);
        // All that is settled in one turn shares a script.
        await turn();
        continue;
      }
      this.turning = true;
      await this.turn().then(() => (this.failures = 0), (error: unknown) => this.failed(error)); // prettier-ignore
      this.turning = false;
      this.turned.wake();
    }
  }

  private async turn(): Promise<void> {
    const [acks, releases, { room }] = [[...this.acks], [...this.releases], this];
    if (room > 0) this.mayHave = false;
    const found = await this.claims.turn(acks.map(({ delivery }) => delivery), releases, room, (taken) => new RedisDelivery(taken, this.options.queue, this)); // prettier-ignore
    if (!found) return this.end('its lease ran out, or the queue was deleted');
    if (this.isOver) return;
    this.acks = this.acks.slice(acks.length);
    this.releases = this.releases.slice(releases.length);
    for (const { answer } of acks) answer?.(true);
    if (found.lost > 0) this.options.lost(found.lost);
    if (found.more || found.deliveries.length === room) this.mayHave = true;
    this.poll(found.dueMs);
    for (const delivery of found.deliveries) this.held.add(delivery);
    // While it stops what was on its way is still delivered.
    for (const delivery of found.deliveries) {
      if (this.isPaused()) this.early.push(delivery);
      else this.options.handlers.delivery(delivery);
    }
  }

  private isPaused(): boolean {
    return this.mode === 'paused';
  }

  private async failed(error: unknown): Promise<void> {
    this.mayHave = true;
    if (isGone(error)) return this.end('the stream of the queue is gone');
    if (isForeign(error) || ++this.failures >= MOST_FAILURES) return this.end(this.options.describe(error));
    await sleep(this.options.clock, FAILED_PAUSE_MS * this.failures, this.over.signal);
  }

  /** Looks again when the next is due, or after a while. */
  private poll(dueMs: number): void {
    const { clock, pollMs } = this.options;
    this.cancelPoll();
    this.cancelPoll = clock.after(Math.max(1, Math.min(dueMs, pollMs)), () => this.wake(), { background: true });
  }

  private nextTick(): CancelTimer {
    const { clock, leaseMs } = this.options;
    return clock.after(leaseMs / 3, () => void this.tick(), { background: true });
  }

  /** Renews the lease, and looks after consumers that do not. */
  private async tick(): Promise<void> {
    try {
      if (this.working && !(await this.claims.beat())) return this.end('its lease ran out, or the queue was deleted');
      if (this.working) await this.claims.reap(this.options.clock.monotonic());
    } catch {
      // The next one comes before the lease has run out; a connection that is gone ends the session.
    }
    if (!this.isOver) this.cancelTick = this.nextTick();
  }
}
