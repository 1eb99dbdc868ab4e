import { closeSync, openSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Clock } from '../clock/clock.js';
import { sleep } from '../clock/sleep.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { knownKeys, numberBetween } from '../errors/option-checks.js';
import { errorMessage } from '../errors/redact.js';
import { inTransaction, isLocked, loadSqlite, type SqliteDatabase } from './sqlite.js';

export interface SharedSqliteFileOptions {
  /** The file; made when missing, readable by its owner only. Its folder has to be there, on a disk of this machine. */
  readonly file: string;
  /** Milliseconds that a call may wait for other processes before it fails. Default 5,000. */
  readonly busyTimeout?: number;
}

/** What a store does with its file. */
export interface SharedSqliteFileUse<Table> {
  /** Who needs SQLite, for the error when it is missing. */
  readonly neededBy: string;
  /** What the file is to be used as, for the error when it cannot. */
  readonly usedAs: string;
  /** Makes what is missing. @throws Error when the file belongs to something else */
  tableIn(database: SqliteDatabase): Table;
  /** The error for a file that cannot be used. */
  unusable(message: string, cause: unknown): Error;
}

/** Where a shared file is, and how long it is waited for. */
export interface SharedSqlitePlace {
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
  return { path: resolve(file), waitMs };
}

/** A table in a file that several processes of a machine share. It is opened when it is needed, and again after a failure. */
export class SharedSqliteFile<Table> {
  private opening: Promise<{ readonly database: SqliteDatabase; readonly table: Table }> | undefined;

  constructor(
    private readonly place: SharedSqlitePlace,
    private readonly clock: Clock,
    private readonly use: SharedSqliteFileUse<Table>,
  ) {}

  /** @throws MissingPeerError, and the store's own error when the file cannot be used */
  async open(): Promise<void> {
    await this.opened();
  }

  /** All of `work`, on the disk when it resolves, or nothing. It is repeated while others hold the lock, for as long as may be. */
  async transaction<T>(work: (table: Table) => T): Promise<T> {
    const { database, table } = await this.opened();
    const deadline = this.clock.monotonic() + this.place.waitMs;
    for (;;) {
      try {
        return inTransaction(database, () => work(table));
      } catch (error) {
        if (!isLocked(error) || this.clock.monotonic() >= deadline) throw error;
      }
      await sleep(this.clock, PAUSE_MS);
    }
  }

  async close(): Promise<void> {
    const opened = await this.opening?.catch(() => undefined);
    opened?.database.close();
  }

  private async opened(): Promise<{ readonly database: SqliteDatabase; readonly table: Table }> {
    this.opening ??= this.load();
    try {
      return await this.opening;
    } catch (error) {
      // A later call may find what was missing.
      this.opening = undefined;
      throw error;
    }
  }

  private async load(): Promise<{ readonly database: SqliteDatabase; readonly table: Table }> {
    const { path, waitMs } = this.place;
    const { neededBy, usedAs } = this.use;
    const sqlite = await loadSqlite(neededBy);
    let database: SqliteDatabase | undefined;
    try {
      closeSync(openSync(path, 'a', 0o600));
      database = sqlite.open(path);
      // Several processes may make the file at once: the first waits are for them.
      database.exec(`PRAGMA busy_timeout = ${waitMs}`);
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
      const table = this.use.tableIn(database);
      database.exec(`PRAGMA busy_timeout = ${BLOCKING_WAIT_MS}`);
      return { database, table };
    } catch (cause) {
      database?.close();
      throw this.use.unusable(
        `The file ${path} cannot be used as ${usedAs}: ${errorMessage(cause)}. Its folder has to exist and be writable, and the file, if there is one, be one of this package`,
        cause,
      );
    }
  }
}

/** Makes the tables of a new file, or finds them. @throws Error when it holds something else, or is of another version */
export function prepareTables(
  database: SqliteDatabase,
  { version, schema, isOurs }: { readonly version: number; readonly schema: string; readonly isOurs: string },
): void {
  inTransaction(database, () => {
    const { user_version: found } = database.prepare('PRAGMA user_version').get()!;
    const { count } = database.prepare(`SELECT count(*) AS count FROM sqlite_schema WHERE NOT (${isOurs})`).get()!;
    if (!(found === 0 && count === 0) && found !== version)
      throw new Error(`it holds something else, or is of version ${String(found)} (known: ${version})`);
    database.exec(`${schema}; PRAGMA user_version = ${version}`);
  });
}
