import { createHash } from 'node:crypto';
import type { ClientBase } from 'pg';
import { checkSchema, quoted, schemaSql } from '../../clients/postgres-address.js';
import { TopologyMismatchError } from '../../errors/configuration-errors.js';

/** Of the tables below. */
const VERSION = 1;
const LOCK = 7_267_001;
const TABLE = `select from pg_class c join pg_namespace n on n.oid = relnamespace where nspname = $1 and relname = 'version'`;

/** Where a schema's notifications are sent. */
export function channelOf(schema: string): string {
  return `nestjs_messaging_${createHash('sha256').update(schema).digest('hex').slice(0, 16)}`;
}

/**
 * The SQL that makes the tables of a schema, for migrations of your own; where `provision` is true they are made at the
 * first connection.
 */
export function postgresSchema(schema = 'messaging'): string {
  const s = quoted(checkSchema('postgres', schema));
  // A claim updates no column of an index, and finds room beside the row: nothing but the row itself is written.
  const churn =
    'autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0';
  const message = 'rank smallint not null default 0, key bigint, head json not null, body bytea not null';
  return `${schemaSql(schema)};
create table ${s}.version (version int not null);
create table ${s}.queues (
  id int generated always as identity primary key, name text not null unique, service text,
  dead_letter_queue text, dead_letter_route text, expires_ms bigint, used_at timestamptz not null default now());
create table ${s}.bindings (
  topic text, pattern text, queue int references ${s}.queues on delete cascade, expression text,
  primary key (topic, pattern, queue));
create index on ${s}.bindings (queue);
create table ${s}.consumers (
  queue int references ${s}.queues on delete cascade, owner uuid, until timestamptz not null,
  primary key (queue, owner));
create table ${s}.messages (
  id bigint generated always as identity, lease timestamptz not null default '-infinity', queue int not null,
  attempt int not null default 0, ${message},
  primary key (queue, rank, id)) with (fillfactor = 50, ${churn});
create index on ${s}.messages (queue, key, rank, id) where key is not null;
create table ${s}.waiting (
  id bigint generated always as identity, due timestamptz not null, queue int not null, ${message},
  primary key (queue, due, id)) with (${churn});
create table ${s}.keys (
  key bigint, owner uuid not null, until timestamptz not null, queue int,
  primary key (queue, key)) with (fillfactor = 50, ${churn});
insert into ${s}.version values (${VERSION});
`;
}

/**
 * Makes the tables where they are not there, all or none, also where several processes do so at once.
 * @throws TopologyMismatchError where they are those of another version
 */
export async function ensureSchema(client: Pick<ClientBase, 'query'>, schema = 'messaging'): Promise<void> {
  if (await isThere(client, schema)) return;
  try {
    await client.query(`begin; select pg_advisory_xact_lock(${LOCK})`);
    // Somebody may have made them while this one waited. Names are cached in a transaction: rows are not.
    const { rows } = await client.query(TABLE, [schema]);
    if (rows.length === 0) await client.query(postgresSchema(schema));
    await client.query('commit');
  } catch (error) {
    await client.query('rollback').catch(() => {});
    throw error;
  }
  await checkVersion(client, schema);
}

/** @throws TopologyMismatchError where the tables are not there, or are those of another version */
export async function checkVersion(client: Pick<ClientBase, 'query'>, schema: string): Promise<void> {
  if (await isThere(client, schema)) return;
  throw new TopologyMismatchError(
    `There are no tables in the schema «${schema}». Run the SQL of postgresSchema('${schema}'), or set «provision» to true`,
  );
}

async function isThere(client: Pick<ClientBase, 'query'>, schema: string): Promise<boolean> {
  if ((await client.query(TABLE, [schema])).rows.length === 0) return false;
  const { rows } = await client.query<{ version: number }>(`select version from ${quoted(schema)}.version`);
  if (rows[0]?.version === VERSION) return true;
  throw new TopologyMismatchError(
    `The tables in the schema «${schema}» are of version ${rows[0]?.version}, this package needs ${VERSION}. Run the migration that docs/postgres.md names, or choose another «schema»`,
  );
}
