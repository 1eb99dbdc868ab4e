import type { Clock } from '../clock/clock.js';
import { systemClock } from '../clock/clock.js';
import { sleep } from '../clock/sleep.js';
import { MissingPeerError } from '../errors/configuration-errors.js';
import { knownKeys, numberBetween } from '../errors/option-checks.js';
import { checkSchema, DEFAULT_POSTGRES_URL, postgresAddress, quoted, schemaSql } from './postgres-address.js';
import type { PostgresClientOptions } from './postgres-address.js';
import { PostgresDatabase } from './postgres-database.js';
import { isAnswer, type PostgresError } from './postgres-errors.js';
import { SharedTable } from './shared-table.js';
import type { SqlClient, SqlParameter } from './sql-client.js';
import {
  LISTED,
  type SqlRow,
  type SqlValue,
  type Statement,
  type Steps,
  type TableDatabase,
  type TableDefinition,
} from './sql-table.js';

/** Options of a store in PostgreSQL 15 or later. It needs the package `pg`. */
export interface PostgresStoreOptions {
  /** `postgres://user:password@host:5432/database`. Default `postgres://localhost:5432/postgres`. */
  readonly url?: string;
  /** Further options of a client of `pg`: `ssl`, `password` as a function, …. */
  readonly options?: object;
  /** Schema of the table: lower-case letters, digits and `_`, not beginning with a digit. Default `messaging`. */
  readonly schema?: string;
  /** Milliseconds that a call may wait for others, or for the server, before it fails. Default 5,000. */
  readonly waitTimeout?: number;
}

/** Where the table is, and who needs it. */
export interface SharedPostgresPlace {
  readonly schema: string;
  readonly waitMs: number;
  readonly database: () => PostgresDatabase;
}

const RETRY_PAUSE_MS = 100;
/** The level and the path are said here: those of a session would be lost behind a pooler, and a database has defaults of its own. */
const BEGIN = `select set_config('search_path', $1, true), set_config('lock_timeout', $2, true),
  set_config('idle_in_transaction_session_timeout', $3, true)`;
const LOCK = `select pg_advisory_xact_lock(hashtextextended($1, 7267002)),
  (extract(epoch from clock_timestamp()) * 1000)::bigint::text as now`;

/** The options of a store, checked; `store` is what it is called. @throws InvalidOptionError */
export function sharedPostgresPlace(store: string, options: PostgresStoreOptions): SharedPostgresPlace {
  knownKeys(store, options, ['url', 'options', 'schema', 'waitTimeout']);
  const { url = DEFAULT_POSTGRES_URL, schema = 'messaging', waitTimeout = 5_000 } = options;
  const waitMs = Math.ceil(numberBetween(`${store}.waitTimeout`, waitTimeout, 100, 60_000));
  const native = {
    connectionTimeoutMillis: waitMs,
    query_timeout: 2 * waitMs,
    ...options.options,
  } as PostgresClientOptions;
  const address = postgresAddress(
    store,
    url,
    options.options === undefined ? native : checked(options.options, native),
  );
  return {
    schema: checkSchema(store, schema),
    waitMs,
    database: () => new PostgresDatabase({ address, connections: 1, neededBy: `${store}()`, applicationName: store }),
  };
}

/** What is no object is left to be refused. */
function checked(given: unknown, native: PostgresClientOptions): PostgresClientOptions {
  return typeof given === 'object' && given !== null ? native : (given as PostgresClientOptions);
}

/** The table of a store in such a schema, and who calls it. */
export function sharedPostgresTable(
  place: SharedPostgresPlace,
  definition: TableDefinition,
  clock: Clock,
): SharedTable {
  return new SharedTable(definition, new SharedPostgresTable(place, definition, clock), clock);
}

/** The same where the table is already; none is made. @throws the table's error */
export async function existingPostgresTable(
  place: SharedPostgresPlace,
  definition: TableDefinition,
  clock: Clock,
): Promise<SharedTable> {
  const database = place.database();
  try {
    if (await isThere(database, place.schema, definition.table)) return sharedPostgresTable(place, definition, clock);
  } catch (error) {
    const why = database.misconfiguration(error)?.message ?? database.describe(error);
    throw new definition.Failure(`The ${definition.noun} at ${database.host} cannot be opened: ${why}`, {
      cause: error,
    });
  } finally {
    await database.close();
  }
  throw new definition.Failure(
    `There is no ${definition.noun} in PostgreSQL at ${database.host}, schema «${place.schema}»`,
  );
}

/** The SQL that makes a store's table in a schema, for migrations of your own; else it is made when the store is opened. */
export function tableSql(schema: string, { server: { version, schema: tables }, table }: TableDefinition): string {
  const s = quoted(schema);
  return `${schemaSql(schema)};
create table if not exists ${s}.stores (name text primary key, version int not null);
${tables.replaceAll('SCHEMA', s)}
insert into ${s}.stores values ('${table}', ${version}) on conflict do nothing;
`;
}

/** A table in PostgreSQL that processes of several machines share: one transaction after the other, by a lock of its own. */
class SharedPostgresTable implements TableDatabase {
  readonly place: string;
  private readonly database: PostgresDatabase;
  private readonly lock: string;
  private made = false;

  constructor(
    private readonly shared: SharedPostgresPlace,
    private readonly definition: TableDefinition,
    private readonly clock: Clock,
  ) {
    this.database = shared.database();
    this.place = `in PostgreSQL at ${this.database.host}, schema «${shared.schema}»,`;
    this.lock = `nestjs-messaging:${shared.schema}:${definition.table}`;
  }

  /** A server that is down is no reason not to start: what is asked then fails, until it is there. */
  async open(): Promise<void> {
    try {
      await this.make();
    } catch (error) {
      const hopeless = this.database.misconfiguration(error);
      if (error instanceof MissingPeerError || error instanceof this.definition.Failure) throw error;
      if (hopeless || isAnswer(error as PostgresError)) throw this.failure(hopeless ?? error);
    }
  }

  /** It is begun anew where the connection is lost before its end, for as long as may be. */
  async transaction<T>(make: (now: number) => Steps<T>): Promise<T> {
    const deadline = this.clock.monotonic() + this.shared.waitMs;
    for (;;) {
      let ended = false;
      try {
        await this.make();
        return await this.database.transaction(async (client) => {
          const result = await this.run(client, make);
          ended = true;
          return result;
        });
      } catch (error) {
        if (error instanceof MissingPeerError || error instanceof this.definition.Failure) throw error;
        // With the commit under way nobody knows.
        if (ended || isAnswer(error as PostgresError) || this.clock.monotonic() >= deadline) throw this.failure(error);
      }
      await sleep(this.clock, RETRY_PAUSE_MS);
    }
  }

  close(): Promise<void> {
    return this.database.close();
  }

  private async run<T>(client: SqlClient, make: (now: number) => Steps<T>): Promise<T> {
    const { schema, waitMs } = this.shared;
    // A process that stands still in here would hold up all others.
    await client.query(BEGIN, [quoted(schema), `${waitMs}`, `${2 * waitMs}`]);
    const [{ now }] = await client.query(LOCK, [this.lock]);
    // Clocks of machines differ: what counts is the server's, but for tests that move their own.
    const steps = make(this.clock === systemClock ? Number(now) : this.clock.now());
    let step = steps.next();
    while (!step.done) {
      const { text, values } = translated(step.value);
      step = steps.next((await client.query(text, values)) as readonly SqlRow[]);
    }
    return step.value;
  }

  /** Makes what is missing, once for all that come at once. @throws the table's error when it is of another version */
  private async make(): Promise<void> {
    if (this.made) return;
    const { schema } = this.shared;
    const { table, noun, Failure, server } = this.definition;
    await this.database.transaction(async (client) => {
      if (!(await isThere(client, schema, table))) {
        await client.query(LOCK, [`nestjs-messaging:${schema}`]);
        if (!(await isThere(client, schema, table)))
          for (const statement of tableSql(schema, this.definition).split(/;\n/))
            if (statement.trim() !== '') await client.query(statement, []);
      }
      const [found] = await client.query(`select version from ${quoted(schema)}.stores where name = $1`, [table]);
      if (found?.version === server.version) return;
      throw new Failure(
        `The ${noun} ${this.place} is of version ${String(found?.version)}, and this package knows ${server.version}: choose another «schema»`,
      );
    });
    this.made = true;
  }

  private failure(error: unknown): Error {
    return new Error(this.database.describe(error), { cause: error });
  }
}

async function isThere(client: SqlClient, schema: string, table: string): Promise<boolean> {
  const text =
    'select 1 from pg_class c join pg_namespace n on n.oid = relnamespace where nspname = $1 and relname = $2';
  return (await client.query(text, [schema, table])).length > 0;
}

interface Translation {
  readonly text: string;
  /** Which of the values are lists. */
  readonly lists: ReadonlySet<number>;
}

const translations = new Map<string, Translation>();

/** A statement as `pg` takes it: numbered values, and a list as an array. */
function translated({ text, values }: Statement): { readonly text: string; readonly values: SqlParameter[] } {
  let known = translations.get(text);
  if (!known) translations.set(text, (known = translate(text)));
  const { lists } = known;
  return { text: known.text, values: values.map((value, at) => (lists.has(at) ? listOf(value) : parameter(value))) };
}

function translate(text: string): Translation {
  const lists = new Set<number>();
  const parts = text.split('?');
  let sql = parts[0];
  for (let at = 1; at < parts.length; at++) {
    const before = LISTED.slice(0, LISTED.indexOf('?'));
    const after = LISTED.slice(LISTED.indexOf('?') + 1);
    const isList = sql.endsWith(before) && parts[at].startsWith(after);
    if (isList) lists.add(at - 1);
    sql = isList
      ? `${sql.slice(0, -before.length)}(SELECT unnest($${at}::text[]))${parts[at].slice(after.length)}`
      : `${sql}$${at}${parts[at]}`;
  }
  return { text: sql, lists };
}

function listOf(value: SqlValue): string[] {
  return (JSON.parse(value as string) as string[]).map(withoutNul);
}

/** The server takes whole numbers only where a column is one, and no text with a NUL. */
function parameter(value: SqlValue): SqlParameter {
  if (typeof value === 'string') return withoutNul(value);
  if (typeof value === 'number') return Math.round(value);
  if (value === null || Buffer.isBuffer(value)) return value;
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

function withoutNul(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '\uFFFD') : text;
}
