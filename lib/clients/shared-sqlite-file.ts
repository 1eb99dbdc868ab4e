import { closeSync, existsSync, openSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Clock } from '../clock/clock.js';
import { sleep } from '../clock/sleep.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { knownKeys, numberBetween } from '../errors/option-checks.js';
import { errorMessage } from '../errors/redact.js';
import { SharedTable } from './shared-table.js';
import type { SqlRow, SqlValue, Steps, TableDatabase, TableDefinition } from './sql-table.js';
import { inTransaction, isLocked, loadSqlite, type SqliteDatabase, type SqliteStatement } from './sqlite.js';

export interface SharedSqliteFileOptions {
  /** The file; made when missing, readable by its owner only. Its folder has to be there, on a disk of this machine. */
  readonly file: string;
  /** Milliseconds that a call may wait for other processes before it fails. Default 5,000. */
  readonly busyTimeout?: number;
}

/** Where a shared file is, how long it is waited for, and who needs it. */
export interface SharedSqlitePlace {
  readonly store: string;
  readonly path: string;
  readonly waitMs: number;
}

/** So long SQLite itself waits for a lock, with this process standing still; longer waits leave it free. */
const BLOCKING_WAIT_MS = 20;
const PAUSE_MS = 10;

/** The options of a store, checked; `store` is what it is called. @throws InvalidOptionError */
export function sharedSqlitePlace(store: string, options: SharedSqliteFileOptions): SharedSqlitePlace {
  knownKeys(store, options, ['file', 'busyTimeout']);
  const { file, busyTimeout = 5_000 } = options;
  if (typeof file !== 'string' || file === '' || file.includes('\0'))
    throw new InvalidOptionError(`${store}.file`, file, 'the path of a file');
  const waitMs = numberBetween(`${store}.busyTimeout`, busyTimeout, 1, 60_000);
  return { store, path: resolve(file), waitMs };
}

/** The table of a store in such a file, and who calls it. */
export function sharedSqliteTable(place: SharedSqlitePlace, definition: TableDefinition, clock: Clock): SharedTable {
  return new SharedTable(definition, new SharedSqliteFile(place, definition, clock), clock);
}

/**
 * The same of a file that is such a store already; no other is made or written to.
 * @throws MissingPeerError, and the table's error
 */
export async function existingSqliteTable(
  place: SharedSqlitePlace,
  definition: TableDefinition,
  clock: Clock,
): Promise<SharedTable> {
  const sqlite = await loadSqlite(place.store);
  try {
    const database = sqlite.open(place.path, { readOnly: true });
    try {
      database.exec(`PRAGMA busy_timeout = ${place.waitMs}`);
      assertIsOurs(database, definition);
    } finally {
      database.close();
    }
  } catch (cause) {
    const why = existsSync(place.path) ? errorMessage(cause) : 'there is no such file';
    throw new definition.Failure(
      `${place.path} cannot be used as a ${definition.noun}, and was left as it is: ${why}`,
      { cause },
    );
  }
  return sharedSqliteTable(place, definition, clock);
}

/** A table in a file that several processes of a machine share. It is opened when it is needed, and again after a failure. */
class SharedSqliteFile implements TableDatabase {
  readonly place: string;
  private opening: Promise<SqliteDatabase> | undefined;

  constructor(
    private readonly file: SharedSqlitePlace,
    private readonly definition: TableDefinition,
    private readonly clock: Clock,
  ) {
    this.place = file.path;
  }

  async open(): Promise<void> {
    await this.opened();
  }

  /** It is repeated while others hold the lock, for as long as may be. */
  async transaction<T>(make: (now: number) => Steps<T>): Promise<T> {
    const database = await this.opened();
    const deadline = this.clock.monotonic() + this.file.waitMs;
    for (;;) {
      try {
        return inTransaction(database, () => run(database, make(this.clock.now())));
      } catch (error) {
        if (!isLocked(error) || this.clock.monotonic() >= deadline) throw error;
      }
      await sleep(this.clock, PAUSE_MS);
    }
  }

  async close(): Promise<void> {
    const database = await this.opening?.catch(() => undefined);
    database?.close();
  }

  private async opened(): Promise<SqliteDatabase> {
    this.opening ??= this.load();
    try {
      return await this.opening;
    } catch (error) {
      // A later call may find what was missing.
      this.opening = undefined;
      throw error;
    }
  }

  private async load(): Promise<SqliteDatabase> {
    const { store, path, waitMs } = this.file;
    const { noun, Failure } = this.definition;
    const sqlite = await loadSqlite(store);
    let database: SqliteDatabase | undefined;
    try {
      closeSync(openSync(path, 'a', 0o600));
      database = sqlite.open(path);
      // Several processes may make the file at once: the first waits are for them.
      database.exec(`PRAGMA busy_timeout = ${waitMs}`);
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
      makeTables(database, this.definition);
      database.exec(`PRAGMA busy_timeout = ${BLOCKING_WAIT_MS}`);
      return database;
    } catch (cause) {
      database?.close();
      throw new Failure(
        `The file ${path} cannot be used as the ${noun}: ${errorMessage(cause)}. Its folder has to exist and be writable, and the file, if there is one, be one of this package`,
        { cause },
      );
    }
  }
}

function run<T>(database: SqliteDatabase, steps: Steps<T>): T {
  let step = steps.next();
  while (!step.done) {
    const { text, values, first } = step.value;
    const statement = database.prepare(text);
    step = steps.next(first ? firstRow(statement, values) : statement.all(...values));
  }
  return step.value;
}

function firstRow(statement: SqliteStatement, values: readonly SqlValue[]): SqlRow[] {
  const row = statement.get(...values);
  return row ? [row] : [];
}

function makeTables(database: SqliteDatabase, definition: TableDefinition): void {
  const { version, schema } = definition.sqlite;
  inTransaction(database, () => {
    const { found, others } = contents(database, definition);
    if (!(found === 0 && others === 0) && found !== version)
      throw new Error(`it holds something else, or is of version ${String(found)} (known: ${version})`);
    database.exec(`${schema}; PRAGMA user_version = ${version}`);
  });
}

/** @throws Error when the file has not this table, or something else, or is of another version */
function assertIsOurs(database: SqliteDatabase, definition: TableDefinition): void {
  const { noun, sqlite } = definition;
  const { found, others, every } = contents(database, definition);
  if (every === 0 || others !== 0) throw new Error(`it is no ${noun}`);
  if (found !== sqlite.version)
    throw new Error(`it is of version ${String(found)}, and this package knows ${sqlite.version}`);
}

function contents(database: SqliteDatabase, { sqlite: { isOurs } }: TableDefinition): SqlRow {
  const { user_version: found } = database.prepare('PRAGMA user_version').get()!;
  const counts = `SELECT count(*) FILTER (WHERE NOT (${isOurs})) AS others, count(*) AS every FROM sqlite_schema`;
  return { ...database.prepare(counts).get(), found };
}
