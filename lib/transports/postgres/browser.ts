import { randomUUID } from 'node:crypto';
import { quoted } from '../../clients/postgres-address.js';
import type { Clock } from '../../clock/clock.js';
import type { Outgoing, PublishResult } from '../../transport/outgoing.js';
import { ClaimingBrowser } from '../kit/claiming-browser.js';
import { QueueClaims, type ClaimStatements } from './claims.js';
import type { Link, Row } from './link.js';
import { PostgresDelivery } from './message.js';
import type { Publisher } from './publisher.js';

const AT_A_TIME = 50;

export interface BrowserParts {
  readonly link: Link;
  readonly statements: ClaimStatements;
  readonly schema: string;
  readonly clock: Clock;
  readonly leaseMs: number;
  readonly publisher: Publisher;
  readonly freed: (queue: number) => void;
  readonly ready: (queue: string) => Promise<number | undefined>;
}

/** Looks without saying that it consumes the queue. */
export class QueueBrowser extends ClaimingBrowser<PostgresDelivery> {
  private constructor(
    private readonly queue: string,
    private readonly claims: QueueClaims,
    private readonly parts: BrowserParts,
    /** Of the first look. */
    private readonly last: string,
  ) {
    super(parts.clock, parts.leaseMs);
  }

  static async open(queue: string, number: number, parts: BrowserParts, rest?: QueueBrowser): Promise<QueueBrowser> {
    const claims = new QueueClaims(parts.link, parts.statements, number, randomUUID(), parts.leaseMs);
    await claims.due();
    const last = rest?.last ?? ((await ask(parts, 'coalesce(max(id), 0)', number))[0] as string);
    return new QueueBrowser(queue, claims, parts, last);
  }

  async arrived(): Promise<number> {
    const [count] = await ask(this.parts, 'count(*)', this.claims.queue, this.last);
    return Number(count);
  }

  protected async ready(): Promise<number> {
    return (await this.parts.ready(this.queue)) ?? 0;
  }

  protected async claim(): Promise<readonly PostgresDelivery[]> {
    const made = (row: Row): PostgresDelivery => new PostgresDelivery(row, this.queue, this);
    return (await this.claims.take(AT_A_TIME, made, this.last)).deliveries;
  }

  protected async remove(delivery: PostgresDelivery): Promise<boolean> {
    return (await this.claims.remove([delivery])).size > 0;
  }

  protected copy(delivery: PostgresDelivery, to: Outgoing): Promise<PublishResult> {
    return this.parts.publisher.move({ queue: this.claims.queue, delivery }, to);
  }

  protected async renew(held: readonly PostgresDelivery[]): Promise<readonly PostgresDelivery[]> {
    const ours = await this.claims.extend(held);
    return held.filter(({ id }) => !ours.has(id));
  }

  protected override forget(delivery: PostgresDelivery): void {
    this.claims.forget(delivery);
  }

  protected async giveBack(held: readonly PostgresDelivery[]): Promise<void> {
    await this.claims.release(held.map((delivery) => ({ delivery, delayMs: 0 }))).catch(() => {});
    for (const delivery of held) this.claims.forget(delivery);
    await this.claims.freeKeys().catch(() => {});
    if (held.length > 0) this.parts.freed(this.claims.queue);
  }
}

async function ask({ link, schema }: BrowserParts, what: string, queue: number, after = '0'): Promise<Row> {
  const text = `select ${what} from ${quoted(schema)}.messages where queue = $1 and id > $2`;
  return (await link.query({ name: `browse ${what}`, text }, [queue, after]))[0];
}
