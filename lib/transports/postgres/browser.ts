import { randomUUID } from 'node:crypto';
import type { CancelTimer, Clock } from '../../clock/clock.js';
import type { Outgoing, PublishResult } from '../../transport/outgoing.js';
import type { Delivery } from '../../transport/delivery.js';
import type { Browser } from '../../transport/queue-operations.js';
import { QueueClaims, type ClaimStatements } from './claims.js';
import type { Link, Row } from './link.js';
import { PostgresDelivery, type Settler } from './message.js';
import type { Publisher } from './publisher.js';
import { quoted } from '../../clients/postgres-address.js';

const AT_A_TIME = 50;

export interface BrowserParts {
  readonly link: Link;
  readonly statements: ClaimStatements;
  readonly schema: string;
  readonly clock: Clock;
  readonly leaseMs: number;
  readonly publisher: Publisher;
  readonly freed: (queue: number) => void;
}

/** Claims what was there when the first look began, piece by piece, and gives back what was not settled. */
export class QueueBrowser implements Browser, Settler {
  private readonly held = new Set<PostgresDelivery>();
  private readonly waiting: PostgresDelivery[] = [];
  private readonly changes = new Set<Promise<unknown>>();
  private cancelTick: CancelTimer;
  private closed?: Promise<void>;

  private constructor(
    private readonly queue: string,
    private readonly claims: QueueClaims,
    private readonly parts: BrowserParts,
    /** Of the first look. */
    private readonly last: string,
  ) {
    this.cancelTick = this.nextTick();
  }

  static async open(queue: string, number: number, parts: BrowserParts, rest?: QueueBrowser): Promise<QueueBrowser> {
    const claims = new QueueClaims(parts.link, parts.statements, number, randomUUID(), parts.leaseMs);
    await claims.due();
    const last = rest?.last ?? ((await ask(parts, 'coalesce(max(id), 0)', number))[0] as string);
    return new QueueBrowser(queue, claims, parts, last);
  }

  async next(): Promise<Delivery | undefined> {
    if (this.closed) return undefined;
    if (this.waiting.length === 0) {
      const made = (row: Row): PostgresDelivery => new PostgresDelivery(row, this.queue, this);
      const { deliveries } = await this.claims.take(AT_A_TIME, made, this.last);
      this.waiting.push(...deliveries);
      for (const delivery of deliveries) this.held.add(delivery);
    }
    return this.waiting.shift();
  }

  async arrived(): Promise<number> {
    const [count] = await ask(this.parts, 'count(*)', this.claims.queue, this.last);
    return Number(count);
  }

  close(): Promise<void> {
    this.closed ??= this.end();
    return this.closed;
  }

  ack(delivery: PostgresDelivery): void {
    void this.ackConfirmed(delivery);
  }

  ackConfirmed(delivery: PostgresDelivery): Promise<boolean> {
    this.settled(delivery);
    const removed = this.claims.remove([delivery]).then(
      (ids) => ids.size > 0,
      () => false,
    );
    return this.during(removed);
  }

  /** What is released is not shown again by the same look: it is given back at the end of it. */
  release(_delivery: PostgresDelivery): void {}

  async extend(): Promise<void> {}

  async move(delivery: PostgresDelivery, to: Outgoing): Promise<PublishResult> {
    const result = await this.during(this.parts.publisher.move({ queue: this.claims.queue, delivery }, to));
    if (result.status === 'confirmed') this.settled(delivery);
    return result;
  }

  private settled(delivery: PostgresDelivery): void {
    if (this.held.delete(delivery)) this.claims.forget(delivery);
  }

  private during<T>(change: Promise<T>): Promise<T> {
    this.changes.add(change);
    return change.finally(() => this.changes.delete(change));
  }

  private async end(): Promise<void> {
    this.cancelTick();
    await Promise.allSettled(this.changes);
    const held = [...this.held];
    for (const delivery of held) delivery.abandon();
    // A connection that is gone cannot: then the lease runs out.
    await this.claims.release(held.map((delivery) => ({ delivery, delayMs: 0 }))).catch(() => {});
    for (const delivery of held) this.claims.forget(delivery);
    await this.claims.freeKeys().catch(() => {});
    if (held.length > 0) this.parts.freed(this.claims.queue);
  }

  private nextTick(): CancelTimer {
    const { clock, leaseMs } = this.parts;
    return clock.after(leaseMs / 3, () => void this.tick(), { background: true });
  }

  private async tick(): Promise<void> {
    const held = [...this.held];
    const ours = await this.claims.extend(held).catch(() => undefined);
    for (const delivery of held) {
      if (!ours || ours.has(delivery.id)) continue;
      this.settled(delivery);
      delivery.abandon();
    }
    if (!this.closed) this.cancelTick = this.nextTick();
  }
}

async function ask({ link, schema }: BrowserParts, what: string, queue: number, after = '0'): Promise<Row> {
  const text = `select ${what} from ${quoted(schema)}.messages where queue = $1 and id > $2`;
  return (await link.query({ name: `browse ${what}`, text }, [queue, after]))[0];
}
