import { type OutboxPlace, tablesOf } from './outbox-schema.js';

const COLUMNS =
  'id, route, topic, key, payload, headers, properties, dedupe_id, unroutable, expires_at, due, added_at, xact, attempts, error';
const TAKEN =
  'c.seq::text, c.id, c.route, c.topic, c.headers::text, c.properties::text, c.dedupe_id, c.unroutable, c.expires_at::text, c.key, c.attempts';
/** The body, or null where all up to there are more than so many bytes. */
const within = (order: string, most: string): string =>
  `case when sum(octet_length(c.payload)) over (order by ${order}) - octet_length(c.payload) < ${most}::bigint then c.payload end as payload`;
/** So many are counted; more are not told apart from so many. */
export const MOST_COUNTED = 100_000;

/** A relay that waits for confirms asks something far more often. */
const IDLE_LIMIT_MS = 15_000;

/** The statements on one outbox. */
export function outboxStatements(place: OutboxPlace) {
  const { pending, parked, sent, handled } = tablesOf(place);
  const gone = (rows: string): string => `delete from ${pending} where seq = any(${rows}::bigint[])`;
  // Of a key that failed before and has to wait, and of all keys, nothing is taken that an earlier message is before.
  const blocks = '(e.due <= statement_timestamp() or e.attempts > 0)';
  return {
    /** id, route, topic, key, body, headers, properties, de-duplication id, unroutable, expires at, delay in ms. */
    add: `insert into ${pending} (id, route, topic, key, payload, headers, properties, dedupe_id, unroutable, expires_at, due)
values ($1::text, $2::text, $3::text, $4::text, $5::bytea, $6::text::json, $7::text::json, $8::text, $9::text, $10::text::bigint,
statement_timestamp() + $11::text::float8 * interval '1 ms')`,
    /** The same, and the transaction it is to be in. No row: that is over. */
    addIn: `insert into ${pending} (id, route, topic, key, payload, headers, properties, dedupe_id, unroutable, expires_at, due)
select $1::text, $2::text, $3::text, $4::text, $5::bytea, $6::text::json, $7::text::json, $8::text, $9::text, $10::text::bigint,
statement_timestamp() + $11::text::float8 * interval '1 ms' where pg_current_xact_id() = $12::text::xid8 returning 1 as one`,
    transaction: 'select pg_current_xact_id()::text as xact',
    /** What a process has taken that stands still, or whose host is lost, is free again after the idle limit. */
    begin: `begin isolation level read committed;
set local synchronous_commit = off; set local idle_in_transaction_session_timeout = ${IDLE_LIMIT_MS}; set local statement_timeout = 0`,
    /** limit, keys that are passed over, bytes. Rows that are not `ready` are behind an earlier message of their key. */
    take: `with c as materialized (
  select * from ${pending} o where o.due <= statement_timestamp() and (o.key is null or (o.key <> all($2::text[]) and not exists (
    select from ${pending} w where w.key = o.key and w.attempts > 0 and w.due > statement_timestamp())))
  order by o.seq limit $1::int for update of o skip locked),
k as (select d.key, (select e.seq from ${pending} e where e.key = d.key and e.seq < d.last and ${blocks}
  and e.seq <> all(array(select seq from c)) order by e.seq limit 1) as first
  from (select key, max(seq) as last from c where key is not null group by key) d)
select ${TAKEN}, ${within('c.seq', '$3')}, c.key is null or k.first is null or c.seq < k.first as ready
from c left join k on k.key = c.key order by c.seq`,
    /** Who sends in the order of transactions is alone. */
    alone: `select pg_try_advisory_xact_lock(hashtextextended($1::text, 7267003))::text as alone`,
    /** limit, bytes. Only what no transaction that still runs can come before. */
    takeInOrder: `with c as materialized (
  select * from ${pending} o where o.xact < pg_snapshot_xmin(pg_current_snapshot()) and o.due <= statement_timestamp()
  and not exists (select from ${pending} w where w.attempts > 0 and w.due > statement_timestamp() and (w.xact, w.seq) < (o.xact, o.seq))
  order by o.xact, o.seq limit $1::int for update of o)
select ${TAKEN}, ${within('c.xact, c.seq', '$2')}, true as ready from c order by c.xact, c.seq`,
    remove: gone('$1'),
    keep: `with d as (${gone('$1')} returning *) insert into ${sent} select * from d`,
    /** seqs, errors. */
    park: `with p as (select * from unnest($1::bigint[], $2::text[]) p(seq, why)), d as (${gone('$1')} returning *)
insert into ${parked} (seq, ${COLUMNS}) select seq, ${COLUMNS.replace('error', 'p.why')} from d join p using (seq)`,
    /** seqs, errors, ms. */
    defer: `update ${pending} o set attempts = o.attempts + 1, error = p.why, due = statement_timestamp() + p.ms * interval '1 ms'
from unnest($1::bigint[], $2::text[], $3::float8[]) p(seq, why, ms) where o.seq = p.seq`,
    /** retention in ms. */
    forget: `delete from ${sent} where sent_at < now() - $1::float8 * interval '1 ms'`,
    count: `select (select count(*)::int from (select from ${pending} limit ${MOST_COUNTED}) one) as depth,
(select count(*)::int from (select from ${parked} limit ${MOST_COUNTED}) one) as parked,
(select extract(epoch from now() - min(added_at))::float8 * 1000 from (
  select added_at from ${pending} where due <= now() order by seq limit 1) one) as oldest`,
    /** Who holds back the order of transactions. */
    holder: `select 'the transaction of process ' || pid || coalesce(' (' || nullif(application_name, '') || ')', '') || ' in the database ' || datname as owner,
  extract(epoch from now() - xact_start)::float8 * 1000 as ms, backend_xid::text as xid, age(backend_xid) as age
from pg_stat_activity where backend_xid is not null and pid <> pg_backend_pid()
union all select 'the prepared transaction ' || gid || ' in the database ' || database, extract(epoch from now() - prepared)::float8 * 1000,
  transaction::text, age(transaction) from pg_prepared_xacts
order by age desc limit 1`,
    /** limit */
    parkedList: `select seq::text, id, route, key, error, (extract(epoch from parked_at) * 1000)::float8 as parked_at,
(extract(epoch from added_at) * 1000)::float8 as added_at, octet_length(payload) as bytes from ${parked} order by seq limit $1::int`,
    /** ids; null: all. They go to the end of the line. */
    unpark: `with d as (delete from ${parked} where $1::text[] is null or id = any($1::text[]) returning *)
insert into ${pending} (${COLUMNS}) select ${COLUMNS.replace(', xact', ', pg_current_xact_id()').replace(', attempts', ', 0').replace(', error', ', null')} from d order by seq returning 1 as one`,
    discard: `delete from ${parked} where id = any($1::text[]) returning 1 as one`,
    /** scope, id. No row: it is there. */
    record: `insert into ${handled} (scope, id) values ($1::text, $2::text) on conflict do nothing returning pg_current_xact_id()::text as xact`,
    /**
     * transaction, scope, id. The row proves the commit: a server that has crashed may give the number again. It is not seen
     * (`unseen`) where the commit came while this was asked.
     */
    fate: `select case when exists (select from ${handled} where scope = $2::text and id = $3::text) then 'committed'
  else case pg_xact_status($1::text::xid8) when 'in progress' then 'in progress' when 'committed' then 'unseen' else 'aborted' end end as fate`,
    /** milliseconds. */
    forgetHandled: `delete from ${handled} where ctid = any(array(
  select ctid from ${handled} where handled_at < now() - $1::float8 * interval '1 ms' limit 10000))`,
    vacuum: `vacuum (truncate false, skip_locked) ${pending}`,
  };
}

export type OutboxStatements = ReturnType<typeof outboxStatements>;
