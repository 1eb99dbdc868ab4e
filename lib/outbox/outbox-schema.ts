import { checkSchema, quoted, schemaSql } from '../clients/postgres-address.js';
import type { SqlClient, SqlRecord } from '../clients/sql-client.js';
import { TopologyMismatchError } from '../errors/configuration-errors.js';
import { checkTable } from './outbox-options.js';

/** Of the tables below. */
const VERSION = 1;
const LOCK = 7_267_002;

/** Where an outbox is. */
export interface OutboxPlace {
  /** Default `messaging`. */
  readonly schema?: string;
  /** Default `outbox`. */
  readonly table?: string;
}

/** The names of its tables, quoted. */
export function tablesOf({
  schema = 'messaging',
  table = 'outbox',
}: OutboxPlace): Record<'pending' | 'parked' | 'sent' | 'handled' | 'about', string> {
  const of = (suffix: string): string => `${quoted(schema)}.${quoted(table + suffix)}`;
  return { pending: of(''), parked: of('_parked'), sent: of('_sent'), handled: of('_handled'), about: of('_version') };
}

/**
 * The SQL that makes the tables, for migrations of your own. Without them they are made when the application starts, where
 * `provision` is true.
 * @throws InvalidOptionError
 */
export function outboxSchema({ schema = 'messaging', table = 'outbox' }: OutboxPlace = {}): string {
  const { pending, parked, sent, handled, about } = tablesOf({
    schema: checkSchema('outbox', schema),
    table: checkTable(table),
  });
  return `${schemaSql(schema)};
create table ${pending} (
  seq bigint generated always as identity primary key,
  id text not null, route text not null, topic text, key text,
  payload bytea not null, headers json not null, properties json not null,
  dedupe_id text not null, unroutable text not null, expires_at bigint,
  due timestamptz not null default statement_timestamp(), added_at timestamptz not null default statement_timestamp(),
  xact xid8 not null default pg_current_xact_id(), attempts int not null default 0, error text)
  with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
create index on ${pending} (key, seq) where key is not null;
create index on ${pending} (xact, seq);
create index on ${pending} (key) where attempts > 0;
create table ${parked} (like ${pending}, parked_at timestamptz not null default now(), primary key (seq));
create table ${sent} (like ${pending}, sent_at timestamptz not null default now());
create index on ${sent} (sent_at);
create table ${handled} (
  scope text, id text, handled_at timestamptz not null default now(), primary key (scope, id));
create index on ${handled} (handled_at);
create table ${about} (version int not null, service text, connection text);
insert into ${about} (version) values (${VERSION});
`;
}

/** Who can do several statements as one. */
export interface SchemaClient {
  transaction<T>(work: (client: SqlClient) => Promise<T>): Promise<T>;
}

/**
 * Makes the tables where they are not there, all or none, also where several processes do so at once.
 * @throws TopologyMismatchError where they are those of another version
 */
export async function ensureOutbox(database: SchemaClient, place: OutboxPlace): Promise<void> {
  await database.transaction(async (client) => {
    if (await isThere(client, place)) return;
    await client.query(`select pg_advisory_xact_lock(${LOCK})::text`, []);
    // Somebody may have made them while this one waited.
    if (await isThere(client, place)) return;
    for (const statement of outboxSchema(place).split(';\n')) if (statement !== '') await client.query(statement, []);
  });
}

/**
 * Whether the tables are those of this package, and of this service and connection.
 * @throws TopologyMismatchError
 */
export async function checkOutbox(
  database: SchemaClient,
  place: OutboxPlace,
  service: string,
  connection: string,
): Promise<void> {
  await database.transaction(async (client) => {
    const name = nameOf(place);
    const { about } = tablesOf(place);
    if (!(await isThere(client, place)))
      throw new TopologyMismatchError(
        `There is no outbox ${name}. Run the SQL of outboxSchema(${argument(place)}), or set «provision» to true`,
      );
    const look = async (): Promise<SqlRecord> => (await client.query(`select * from ${about}`, []))[0] ?? {};
    let row = await look();
    if (row.version !== VERSION)
      throw new TopologyMismatchError(
        `The tables of the outbox ${name} are of version ${String(row.version)}, this package needs ${VERSION}. Run the migration that docs/outbox.md names, or choose another «table»`,
      );
    if (row.service === null) {
      // The first one to come has it; who comes at the same time waits for it here, and then finds it.
      await client.query(`update ${about} set service = $1, connection = $2 where service is null`, [
        service,
        connection,
      ]);
      row = await look();
    }
    if (row.service !== service)
      throw new TopologyMismatchError(
        `The outbox ${name} is that of the service «${row.service as string}», whose messages «${service}» would send. Choose another «table»; or, where the service was renamed, update ${about} set service = '${service.replaceAll("'", "''")}'`,
      );
    if (row.connection !== connection)
      throw new TopologyMismatchError(
        `The outbox ${name} is that of the connection «${row.connection as string}», whose messages «${connection}» would send. Choose another «table»; or, where the connection was renamed, update ${about} set connection = '${connection}'`,
      );
  });
}

async function isThere(client: SqlClient, { schema = 'messaging', table = 'outbox' }: OutboxPlace): Promise<boolean> {
  const rows = await client.query(
    'select 1 as one from pg_class c join pg_namespace n on n.oid = relnamespace where nspname = $1 and relname = $2',
    [schema, `${table}_version`],
  );
  return rows.length > 0;
}

function nameOf({ schema = 'messaging', table = 'outbox' }: OutboxPlace): string {
  return `«${schema}.${table}»`;
}

function argument({ schema = 'messaging', table = 'outbox' }: OutboxPlace): string {
  return `{ schema: '${schema}', table: '${table}' }`;
}
