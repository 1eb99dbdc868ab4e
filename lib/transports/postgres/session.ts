import { randomUUID } from 'node:crypto';
import type { CancelTimer, Clock } from '../../clock/clock.js';
import { sleep } from '../../clock/sleep.js';
import { nextTurn } from '../../clock/turn.js';
import type { Outgoing, PublishResult } from '../../transport/outgoing.js';
import type { SubscribeHandlers } from '../../transport/transport.js';
import { Waiters } from '../../transport/waiters.js';
import type { ConsumerSession } from '../kit/supervised-consumer.js';
import { QueueClaims, type ClaimStatements, type Release } from './claims.js';
import type { Link } from './link.js';
import { PostgresDelivery, type Settler } from './message.js';

/** So many failed statements in a row end a session: what it holds is another's then. */
const MOST_FAILURES = 5;
const FAILED_PAUSE_MS = 250;
/** Others lock what there is, or what has to come first. */
const CONTENDED_MS = 10;
/** So many times the prefetch may be handled and not removed yet: what comes meanwhile shares the next commit. */
const MOST_ACKS = 4;

export interface SessionOptions {
  readonly queue: string;
  readonly number: number;
  readonly prefetch: number;
  readonly leaseMs: number;
  readonly pollMs: number;
  readonly clock: Clock;
  readonly handlers: SubscribeHandlers;
  readonly statements: ClaimStatements;
  readonly describe: (error: unknown) => string;
  readonly move: (source: { queue: number; delivery: PostgresDelivery }, to: Outgoing) => Promise<PublishResult>;
  /** Messages of the queue are there for others. */
  readonly freed: (queue: number) => void;
  readonly removed: (count: number) => void;
}

interface Ack {
  readonly delivery: PostgresDelivery;
  readonly answer?: (taken: boolean) => void;
}

/** Claims messages of a queue as long as there is room and there are some, and settles them in batches. */
export class PostgresSession implements ConsumerSession, Settler {
  readonly ended: Promise<string>;
  private readonly claims: QueueClaims;
  private readonly held = new Set<PostgresDelivery>();
  /** On their way elsewhere: a row that is gone is not lost. */
  private readonly moving = new Set<PostgresDelivery>();
  private readonly early: PostgresDelivery[] = [];
  private acks: Ack[] = [];
  private releases: Release[] = [];
  private readonly waiters = new Waiters();
  private readonly over = new AbortController();
  private mode: 'idle' | 'consuming' | 'paused' | 'stopped' = 'idle';
  private settling: Promise<void> | undefined;
  private ticking: Promise<void> | undefined;
  private claiming: Promise<void> | undefined;
  private finishing = false;
  /** There may be something to claim; to become due. */
  private mayHave = true;
  private mayBeDue = true;
  private failures = 0;
  private cancelTick: CancelTimer;
  private cancelPoll: CancelTimer = () => {};
  private resolveEnded!: (reason: string) => void;

  constructor(
    link: Link,
    private readonly options: SessionOptions,
  ) {
    const { statements, number, leaseMs } = options;
    this.claims = new QueueClaims(link, statements, number, randomUUID(), leaseMs);
    this.ended = new Promise((resolve) => (this.resolveEnded = resolve));
    this.cancelTick = this.nextTick();
  }

  get number(): number {
    return this.options.number;
  }

  async consume(): Promise<void> {
    if (!(await this.claims.present())) throw new Error('the queue is gone');
    if (this.over.signal.aborted || this.mode === 'stopped') return;
    this.mode = 'consuming';
    for (const delivery of this.early.splice(0)) this.options.handlers.delivery(delivery);
    this.wake();
    this.claiming ??= this.claim().finally(() => (this.claiming = undefined));
  }

  async pause(): Promise<void> {
    if (this.mode === 'consuming') this.mode = 'paused';
    this.waiters.wake();
    await this.claims.absent().catch(() => {});
  }

  async stop(): Promise<void> {
    const wasPaused = this.mode === 'paused';
    this.mode = 'stopped';
    this.waiters.wake();
    await this.claiming;
    if (wasPaused) this.giveBack(this.early.splice(0).map(unseen));
    if (!this.over.signal.aborted) await this.claims.absent().catch(() => {});
  }

  finish(): void {
    this.finishing = true;
    if (this.held.size === 0 && !this.settling) this.end('stopped');
  }

  giveUp(reason: string): void {
    this.end(reason);
  }

  /** What is unsettled goes back to its old place. */
  async close(): Promise<void> {
    await this.stop();
    this.giveBack([...this.held].map(seen));
    await this.settling;
    this.end('closed');
  }

  /** There may be something new. */
  wake(): void {
    this.mayHave = this.mayBeDue = true;
    this.waiters.wake();
  }

  ack(delivery: PostgresDelivery): void {
    this.settle(delivery);
    this.acks.push({ delivery });
  }

  ackConfirmed(delivery: PostgresDelivery): Promise<boolean> {
    this.settle(delivery);
    return new Promise((answer) => this.acks.push({ delivery, answer }));
  }

  release(delivery: PostgresDelivery, delayMs: number): void {
    this.settle(delivery);
    this.releases.push({ delivery, delayMs });
  }

  /** Every lease is renewed together, well before its end. */
  async extend(delivery: PostgresDelivery, ms: number): Promise<void> {
    if (ms > this.options.leaseMs) await this.claims.extend([delivery], ms);
  }

  async move(delivery: PostgresDelivery, to: Outgoing): Promise<PublishResult> {
    this.moving.add(delivery);
    const result = await this.options.move({ queue: this.options.number, delivery }, to);
    this.moving.delete(delivery);
    if (result.status === 'confirmed' && this.held.delete(delivery)) {
      delivery.abandon();
      this.options.removed(1);
      this.claims.forget(delivery);
      this.roomier();
    }
    return result;
  }

  /** What an earlier session had and can settle no more: what was acked is removed, the rest is there for anybody. */
  async recover(previous: PostgresSession): Promise<void> {
    await previous.ticking;
    await this.claims.remove(previous.acks.map(({ delivery }) => delivery));
    const rest = [...previous.releases, ...[...previous.held].map(seen)];
    await this.claims.release(rest);
    previous.held.clear();
  }

  end(reason: string): void {
    if (this.over.signal.aborted) return;
    this.mode = 'stopped';
    this.over.abort();
    this.cancelTick();
    this.cancelPoll();
    this.waiters.wake();
    for (const { answer } of this.acks) answer?.(false);
    for (const delivery of this.held) this.lose(delivery);
    this.resolveEnded(reason);
  }

  private lose(delivery: PostgresDelivery, wasUnseen = this.early.includes(delivery)): void {
    delivery.abandon();
    if (!wasUnseen) this.options.handlers.lost(delivery);
  }

  /** For as long as it consumes. Whoever wakes it is not its context. */
  private async claim(): Promise<void> {
    while (this.mode === 'consuming') {
      try {
        await this.step();
        this.failures = 0;
      } catch (error) {
        await this.failed(error);
      }
    }
  }

  private async step(): Promise<void> {
    await this.freeKeys();
    if (this.mayBeDue) {
      this.mayBeDue = false;
      this.poll(await this.claims.due());
    }
    const { prefetch } = this.options;
    const room = prefetch - this.held.size - Math.max(0, this.acks.length - MOST_ACKS * prefetch);
    if (this.mode !== 'consuming') return;
    if (!this.mayHave || room <= 0) return this.waiters.wait(this.over.signal);
    this.mayHave = false;
    const { deliveries, more } = await this.claims.take(
      room,
      (row) => new PostgresDelivery(row, this.options.queue, this),
    );
    if (more) this.mayHave = true;
    if (more && deliveries.length === 0) await sleep(this.options.clock, CONTENDED_MS, this.over.signal);
    // Too late: whoever comes next has it, and not after the lease.
    if (this.over.signal.aborted) return this.claims.release(deliveries.map(unseen));
    for (const delivery of deliveries) this.held.add(delivery);
    // While it stops what was on its way is still delivered.
    for (const delivery of deliveries) {
      if (this.isPaused()) this.early.push(delivery);
      else this.options.handlers.delivery(delivery);
    }
  }

  private isPaused(): boolean {
    return this.mode === 'paused';
  }

  private async failed(error: unknown): Promise<void> {
    this.mayHave = this.mayBeDue = true;
    if (++this.failures >= MOST_FAILURES) return this.end(this.options.describe(error));
    await sleep(this.options.clock, FAILED_PAUSE_MS * this.failures, this.over.signal);
  }

  /** Looks again when the next is due, or after a while. */
  private poll(dueMs: number): void {
    const { clock, pollMs } = this.options;
    this.cancelPoll();
    this.cancelPoll = clock.after(Math.max(1, Math.min(dueMs, pollMs)), () => this.wake(), { background: true });
  }

  private settle(delivery: PostgresDelivery): void {
    this.held.delete(delivery);
    this.settling ??= new Promise<void>((resolve) => nextTurn(resolve)).then(() => this.flush());
    this.roomier();
  }

  private roomier(): void {
    this.waiters.wake();
    if (this.finishing) this.finish();
  }

  /** What was settled in one turn, or while another batch was under way, is settled by one statement. */
  private async flush(): Promise<void> {
    while (this.acks.length + this.releases.length > 0 && !this.over.signal.aborted) {
      const [acks, releases] = [[...this.acks], [...this.releases]];
      try {
        if (acks.length > 0) await this.remove(acks);
        if (releases.length > 0) await this.giveBackAll(releases);
        this.failures = 0;
      } catch (error) {
        await this.failed(error);
      }
    }
    if (!this.claiming && !this.over.signal.aborted) await this.freeKeys().catch(() => {});
    this.settling = undefined;
    if (this.finishing) this.finish();
  }

  private async remove(acks: readonly Ack[]): Promise<void> {
    const removed = await this.claims.remove(acks.map(({ delivery }) => delivery));
    if (this.over.signal.aborted) return;
    this.acks = this.acks.slice(acks.length);
    this.options.removed(removed.size);
    for (const { delivery, answer } of acks) {
      answer?.(removed.has(delivery.id));
      this.claims.forget(delivery);
    }
    this.waiters.wake();
  }

  private async giveBackAll(releases: readonly Release[]): Promise<void> {
    await this.ticking;
    await this.claims.release(releases);
    this.releases = this.releases.slice(releases.length);
    for (const { delivery } of releases) this.claims.forget(delivery);
    this.mayHave = true;
    this.waiters.wake();
    this.options.freed(this.options.number);
  }

  private giveBack(releases: readonly Release[]): void {
    if (this.over.signal.aborted) return;
    for (const release of releases) {
      this.lose(release.delivery, release.unseen);
      this.settle(release.delivery);
      this.releases.push(release);
    }
  }

  /** Between two claims. */
  private async freeKeys(): Promise<void> {
    if (!(await this.claims.freeKeys())) return;
    this.mayHave = true;
    this.options.freed(this.options.number);
  }

  private nextTick(): CancelTimer {
    const { clock, leaseMs } = this.options;
    return clock.after(leaseMs / 3, () => void (this.ticking = this.tick()), { background: true });
  }

  /** Renews every lease, and tells what another has by now because this process did not get round to it. */
  private async tick(): Promise<void> {
    try {
      if (this.mode === 'consuming' && !(await this.claims.present())) return this.end('the queue is gone');
      const held = [...this.held];
      const ours = held.length > 0 ? await this.claims.extend(held) : new Set<string>();
      for (const delivery of held) {
        if (ours.has(delivery.id) || this.moving.has(delivery) || !this.held.delete(delivery)) continue;
        this.lose(delivery);
        this.claims.forget(delivery);
      }
      this.waiters.wake();
    } catch {
      // The next one comes before the leases have run out; a connection that is gone ends the session.
    }
    if (!this.over.signal.aborted) this.cancelTick = this.nextTick();
  }
}

const seen = (delivery: PostgresDelivery): Release => ({ delivery, delayMs: 0 });
const unseen = (delivery: PostgresDelivery): Release => ({ delivery, delayMs: 0, unseen: true });
