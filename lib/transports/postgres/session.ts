import { randomUUID } from 'node:crypto';
import { sleep } from '../../clock/sleep.js';
import { nextTurn } from '../../clock/turn.js';
import type { Outgoing, PublishResult } from '../../transport/outgoing.js';
import { type ClaimAck, type ClaimingOptions, ClaimingSession } from '../kit/claiming-session.js';
import { QueueClaims, type ClaimStatements, type Release } from './claims.js';
import type { Link } from './link.js';
import { PostgresDelivery } from './message.js';
import type { Publisher } from './publisher.js';

/** Others lock what there is, or what has to come first. */
const CONTENDED_MS = 10;
/** So many times the prefetch may be handled and not removed yet: what comes meanwhile shares the next commit. */
const MOST_ACKS = 4;

export interface SessionOptions extends ClaimingOptions {
  readonly number: number;
  readonly statements: ClaimStatements;
  readonly publisher: Publisher;
  /** Messages of the queue are there for others. */
  readonly freed: (queue: number) => void;
  readonly removed: (count: number) => void;
}

/** Claims messages of a queue by one statement after the other, and settles them in batches meanwhile. */
export class PostgresSession extends ClaimingSession<PostgresDelivery> {
  private readonly claims: QueueClaims;
  /** On their way elsewhere: a row that is gone is not lost. */
  private readonly moving = new Set<PostgresDelivery>();
  private settling: Promise<void> | undefined;
  private working: Promise<void> | undefined;
  /** There may be something to become due. */
  private mayBeDue = true;

  constructor(
    link: Link,
    private readonly options: SessionOptions,
  ) {
    super(options);
    const { statements, number, leaseMs } = options;
    this.claims = new QueueClaims(link, statements, number, randomUUID(), leaseMs);
  }

  get number(): number {
    return this.options.number;
  }

  override async pause(): Promise<void> {
    await super.pause();
    this.waiters.wake();
    await this.claims.absent().catch(() => {});
  }

  async stop(): Promise<void> {
    this.mode = 'stopped';
    this.waiters.wake();
    await this.working;
    this.giveBackEarly();
    if (!this.isOver) await this.claims.absent().catch(() => {});
  }

  /** What is unsettled goes back to its old place. */
  async close(): Promise<void> {
    await this.stop();
    if (this.isOver) return;
    for (const delivery of [...this.held]) {
      this.lose(delivery);
      this.release(delivery, 0);
    }
    await this.settling;
    this.end('closed');
  }

  override wake(): void {
    this.mayBeDue = true;
    super.wake();
  }

  /** Every lease is renewed together, well before its end. */
  async extend(delivery: PostgresDelivery, ms: number): Promise<void> {
    if (ms > this.options.leaseMs) await this.claims.extend([delivery], ms);
  }

  async move(delivery: PostgresDelivery, to: Outgoing): Promise<PublishResult> {
    this.moving.add(delivery);
    const result = await this.options.publisher.move({ queue: this.number, delivery }, to);
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
    const rest = [...previous.held].map((delivery) => ({ delivery, delayMs: 0 }));
    await this.claims.release([...previous.releases, ...rest]);
    previous.held.clear();
  }

  protected enter(): Promise<boolean> {
    return this.claims.present();
  }

  protected work(): void {
    this.working ??= this.claim().finally(() => (this.working = undefined));
  }

  protected settle(): void {
    this.settling ??= new Promise<void>((resolve) => nextTurn(resolve)).then(() => this.flush());
    this.roomier();
  }

  protected get isSettled(): boolean {
    return this.settling === undefined;
  }

  protected leave(reason: string): void {
    this.end(reason);
  }

  /** Renews every lease, and tells what another has by now because this process did not get round to it. */
  protected async renew(): Promise<void> {
    if (this.mode === 'consuming' && !(await this.claims.present())) return this.end('the queue is gone');
    const held = [...this.held];
    const ours = held.length > 0 ? await this.claims.extend(held) : new Set<string>();
    for (const delivery of held) {
      if (ours.has(delivery.id) || this.moving.has(delivery) || !this.held.delete(delivery)) continue;
      this.lose(delivery);
      this.claims.forget(delivery);
    }
    this.waiters.wake();
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
    if (this.isOver) return this.claims.release(deliveries.map(unseen));
    this.take(deliveries);
  }

  private roomier(): void {
    this.waiters.wake();
    if (this.finishing) this.finish();
  }

  /** What was settled in one turn, or while another batch was under way, is settled by one statement. */
  private async flush(): Promise<void> {
    while (this.acks.length + this.releases.length > 0 && !this.isOver) {
      const [acks, releases] = [[...this.acks], [...this.releases]];
      try {
        if (acks.length > 0) await this.remove(acks);
        if (releases.length > 0) await this.giveBackAll(releases);
        this.failures = 0;
      } catch (error) {
        await this.failed(error);
      }
    }
    if (!this.working && !this.isOver) await this.freeKeys().catch(() => {});
    this.settling = undefined;
    if (this.finishing) this.finish();
  }

  private async remove(acks: readonly ClaimAck<PostgresDelivery>[]): Promise<void> {
    const removed = await this.claims.remove(acks.map(({ delivery }) => delivery));
    if (this.isOver) return;
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

  /** Between two claims. */
  private async freeKeys(): Promise<void> {
    if (!(await this.claims.freeKeys())) return;
    this.mayHave = true;
    this.options.freed(this.options.number);
  }
}

const unseen = (delivery: PostgresDelivery): Release => ({ delivery, delayMs: 0, unseen: true });
