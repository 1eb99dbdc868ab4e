import type { ClaimRelease } from '../kit/claiming-session.js';
import { type Link, listOf, type Row, type Statement } from './link.js';
import type { PostgresDelivery } from './message.js';
import { quoted } from '../../clients/postgres-address.js';

/** So many delayed messages become ready at a time. */
const DUE_AT_ONCE = 1_000;

/** What is not worth waiting for the disk: a server that dies forgets a claim with the connection that has made it. */
const unsynced = (limit: string): string =>
  `case when set_config('synchronous_commit', 'off', true) = 'off' then ${limit} end`;

const given = (columns: string): string => `unnest(${columns})`;

/** The statements on the messages of queues. Whoever claimed a row and lost it changes nothing: another attempt has it. */
export function statementsOf(schema: string) {
  const s = quoted(schema);
  const ours = 'm.queue = $1 and m.rank = d.rank and m.id = d.id and m.attempt = d.attempt';
  const ids = `${given('$2::smallint[], $3::bigint[], $4::int[]')} d(rank, id, attempt)`;
  return {
    /**
     * queue, limit, lease in ms, owner, last id. Always at least one row: how many were found; and one for each key that
     * was got without a message. An earlier message of a key that another locks at this moment, who then does not get the
     * key, must not be passed over.
     */
    claim: `with c as materialized (
  select m.ctid as place, m.key, m.rank, m.id from ${s}.messages m
  where m.queue = $1 and m.lease <= now() and m.id <= $5 and (m.key is null or not exists (
    select from ${s}.keys k where k.queue = $1 and k.key = m.key and k.owner <> $4 and k.until > now()))
  order by m.rank, m.id limit ${unsynced('$2::int')} for update of m skip locked),
k as (
  insert into ${s}.keys as k (queue, key, owner, until)
  select distinct $1::int, key, $4::uuid, now() + $3::float8 * interval '1 ms' from c where key is not null order by 2
  on conflict (queue, key) do update set owner = excluded.owner, until = excluded.until
  where k.owner = excluded.owner or k.until <= now() returning key),
u as (
  update ${s}.messages m set lease = now() + $3::float8 * interval '1 ms', attempt = m.attempt + 1
  where m.ctid = any(array(select place from c where key is null or key in (select key from k) and not exists (
    select from ${s}.messages e where e.queue = $1 and e.key = c.key and (e.rank, e.id) < (c.rank, c.id)
    and e.lease <= now() and not e.ctid = any(array(select place from c)))))
  returning m.rank, m.id, m.attempt, m.key, m.head, m.body)
select (select count(*)::int from c), u.* from (values (1)) one left join u on true
union all select 0, null, null, null, key, null, null from k where key not in (select key from u where key is not null)`,
    /** queue. How many, and the milliseconds until the next one is due. */
    due: `with d as (
  delete from ${s}.waiting where ctid = any(array(
    select ctid from ${s}.waiting where queue = $1 and due <= now() order by due, id
    limit ${unsynced(String(DUE_AT_ONCE))} for update skip locked))
  returning *),
p as (insert into ${s}.messages (queue, rank, key, head, body)
  select queue, rank, key, head, body from d order by due, id returning 1)
select (select count(*)::int from p),
  (select extract(epoch from min(due) - now())::float8 * 1000 from ${s}.waiting where queue = $1 and due > now())`,
    remove: `delete from ${s}.messages m using ${ids} where ${ours} returning m.id`,
    release: `update ${s}.messages m set lease = case when d.ms > 0 then now() + d.ms * interval '1 ms' else '-infinity' end,
  attempt = m.attempt - d.unseen
from ${given('$2::smallint[], $3::bigint[], $4::int[], $5::float8[], $6::int[]')} d(rank, id, attempt, ms, unseen)
where ${ours} returning m.id`,
    /** queue, …, lease in ms, owner. The ids that are still ours, and were not given back meanwhile. */
    extend: `with k as (update ${s}.keys set until = now() + $5::float8 * interval '1 ms' where queue = $1 and owner = $6)
update ${s}.messages m set lease = now() + $5::float8 * interval '1 ms' from ${ids} where ${ours}
and m.lease > '-infinity' returning m.id`,
    free: `delete from ${s}.keys where queue = $1 and owner = $2 and key = any($3::bigint[])`,
    /** queue, owner, ms. Nothing: the queue is gone. */
    present: `insert into ${s}.consumers as c (queue, owner, until)
select id, $2::uuid, now() + $3::float8 * interval '1 ms' from ${s}.queues where id = $1
on conflict (queue, owner) do update set until = excluded.until returning 1`,
    absent: `with gone as (delete from ${s}.consumers where queue = $1 and owner = $2)
update ${s}.queues set used_at = now() where id = $1`,
  };
}

type Name = keyof ReturnType<typeof statementsOf>;

/** The statements of one schema, by name. */
export class ClaimStatements {
  private readonly texts: Readonly<Record<Name, string>>;

  constructor(schema: string) {
    this.texts = statementsOf(schema);
  }

  get(name: Name): Statement {
    return { name: `queue ${name}`, text: this.texts[name] };
  }
}

export type Release = ClaimRelease<PostgresDelivery>;

/** What one owner has claimed of one queue, in the database. */
export class QueueClaims {
  /** How many messages of a key it has. Nobody else is given any until it has none, and says so. */
  private readonly keys = new Map<string, number>();

  constructor(
    private readonly link: Link,
    private readonly statements: ClaimStatements,
    readonly queue: number,
    private readonly owner: string,
    private readonly leaseMs: number,
  ) {}

  /** In order. `more`: there may be some that were not taken. */
  async take(
    limit: number,
    made: (row: Row) => PostgresDelivery,
    last = MAX_ID,
  ): Promise<{ deliveries: PostgresDelivery[]; more: boolean }> {
    const rows = await this.ask('claim', limit, this.leaseMs, this.owner, last);
    const found = rows[0][0] as number;
    const claimed = rows.filter(([, , id]) => id !== null);
    claimed.sort((a, b) => (a[1] as number) - (b[1] as number) || compareIds(a[2] as string, b[2] as string));
    const deliveries = claimed.map(made);
    for (const [, , id, , key] of rows)
      if (id === null && key !== null) this.keys.set(key as string, this.keys.get(key as string) ?? 0);
    for (const { key } of deliveries) if (key !== null) this.keys.set(key, (this.keys.get(key) ?? 0) + 1);
    return { deliveries, more: found === limit || claimed.length < found };
  }

  /** Makes ready what is due. The milliseconds until the next is; Infinity where nothing waits. */
  async due(): Promise<number> {
    for (;;) {
      const [[moved, next]] = await this.ask('due');
      if ((moved as number) < DUE_AT_ONCE) return (next as number | null) ?? Infinity;
    }
  }

  /** The ids of those that were still ours. */
  async remove(deliveries: readonly PostgresDelivery[]): Promise<ReadonlySet<string>> {
    return idsOf(await this.ask('remove', ...columns(deliveries)));
  }

  async release(releases: readonly Release[]): Promise<void> {
    const deliveries = releases.map(({ delivery }) => delivery);
    const delays = listOf(releases.map(({ delayMs }) => delayMs));
    const unseen = listOf(releases.map(({ unseen }) => Number(unseen === true)));
    await this.ask('release', ...columns(deliveries), delays, unseen);
  }

  /** The ids of those that are still ours. */
  async extend(deliveries: readonly PostgresDelivery[], ms = this.leaseMs): Promise<ReadonlySet<string>> {
    return idsOf(await this.ask('extend', ...columns(deliveries), ms, this.owner));
  }

  /** It was removed, given back or lost. */
  forget({ key }: PostgresDelivery): void {
    if (key !== null) this.keys.set(key, (this.keys.get(key) ?? 1) - 1);
  }

  /** Lets others have the keys of which nothing is here. Not while it takes: that could want one of them. True: there were some. */
  async freeKeys(): Promise<boolean> {
    const free = [...this.keys].flatMap(([key, count]) => (count <= 0 ? [key] : []));
    if (free.length === 0) return false;
    await this.ask('free', this.owner, listOf(free));
    for (const key of free) if (this.keys.get(key)! <= 0) this.keys.delete(key);
    return true;
  }

  /** Says that somebody consumes the queue. False: it is gone. */
  async present(): Promise<boolean> {
    return (await this.ask('present', this.owner, this.leaseMs)).length > 0;
  }

  async absent(): Promise<void> {
    await this.ask('absent', this.owner);
  }

  private ask(name: Name, ...values: unknown[]): Promise<readonly Row[]> {
    return this.link.query(this.statements.get(name), [this.queue, ...values]);
  }
}

export const MAX_ID = '9223372036854775807';

/** Numbers of up to 64 bits, in decimal. */
function compareIds(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : 1);
}

function columns(deliveries: readonly PostgresDelivery[]): unknown[] {
  return [deliveries.map(({ rank }) => rank), deliveries.map(({ id }) => id), deliveries.map(({ attempt }) => attempt)];
}

function idsOf(rows: readonly Row[]): ReadonlySet<string> {
  return new Set(rows.map(([id]) => id as string));
}
