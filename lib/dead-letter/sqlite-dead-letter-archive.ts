import { closeSync, openSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Clock } from '../clock/clock.js';
import { sleep } from '../clock/sleep.js';
import { isLocked, loadSqlite, type SqliteDatabase } from '../clients/sqlite.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { knownKeys, numberBetween } from '../errors/option-checks.js';
import { errorMessage } from '../errors/redact.js';
import { ArchiveTable } from './archive-table.js';
import { DeadLetterArchiveError } from './dead-letter-archive-error.js';
import type {
  ArchivedEntry,
  ArchiveEntry,
  ArchiveQuery,
  DeadLetterArchive,
  DeadLetterArchiveFactory,
} from './dead-letter-archive.js';

export interface SqliteDeadLetterArchiveOptions {
  /** The file; made when missing, readable by its owner only. Its folder has to be there, on a disk of this machine. */
  readonly file: string;
  /** Milliseconds that a call may wait for other processes before it fails. Default 5,000. */
  readonly busyTimeout?: number;
}

/**
 * Keeps dead letters in a file that several processes of a machine may share, over restarts and power failures. It needs
 * Node 22.13, or the package `@photostructure/sqlite`. @throws InvalidOptionError
 */
export function sqliteDeadLetterArchive(options: SqliteDeadLetterArchiveOptions): DeadLetterArchiveFactory {
  knownKeys('sqliteDeadLetterArchive', options, ['file', 'busyTimeout']);
  const { file, busyTimeout = 5_000 } = options;
  if (typeof file !== 'string' || file === '' || file.includes('\0'))
    throw new InvalidOptionError('sqliteDeadLetterArchive.file', file, 'the path of a file');
  const waitMs = numberBetween('sqliteDeadLetterArchive.busyTimeout', busyTimeout, 1, 60_000);
  const path = resolve(file);
  return { kind: 'sqlite', durable: true, create: ({ clock }) => new SqliteDeadLetterArchive(path, waitMs, clock) };
}

/** So long SQLite itself waits for a lock, with this process standing still; longer waits leave it free. */
const BLOCKING_WAIT_MS = 20;
const PAUSE_MS = 10;

interface Opened {
  readonly database: SqliteDatabase;
  readonly table: ArchiveTable;
}

class SqliteDeadLetterArchive implements DeadLetterArchive {
  private opening: Promise<Opened> | undefined;
  private running: Promise<unknown> = Promise.resolve();
  private closed = false;

  constructor(
    private readonly file: string,
    private readonly waitMs: number,
    private readonly clock: Clock,
  ) {}

  async open(): Promise<void> {
    await this.opened();
  }

  add(entries: readonly ArchiveEntry[]): Promise<void> {
    return this.transaction((table, now) => entries.forEach((entry) => table.add(entry, now)));
  }

  page(query: ArchiveQuery, afterSeq: number, limit: number): Promise<ArchivedEntry[]> {
    return this.transaction((table) => table.page(query, afterSeq, limit));
  }

  count(): Promise<number> {
    return this.transaction((table) => table.count());
  }

  allowRetry(keys: readonly string[], allow: boolean): Promise<number> {
    return this.transaction((table) => [...new Set(keys)].filter((key) => table.allowRetry(key, allow)).length);
  }

  claim(token: string, leaseMs: number, limit: number): Promise<ArchivedEntry[]> {
    return this.transaction((table, now) => table.claim(token, now, now + leaseMs, limit));
  }

  renew(token: string, leaseMs: number): Promise<void> {
    return this.transaction((table, now) => table.renew(token, now + leaseMs));
  }

  remove(key: string, token: string): Promise<boolean> {
    return this.transaction((table) => table.remove(key, token));
  }

  release(key: string, token: string, waitMs: number): Promise<boolean> {
    return this.transaction((table, now) => table.release(key, token, now + waitMs));
  }

  delete(keys: readonly string[]): Promise<number> {
    return this.transaction((table, now) => [...new Set(keys)].filter((key) => table.delete(key, now)).length);
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.running;
    const opened = await this.opening?.catch(() => undefined);
    opened?.database.close();
  }

  /** One after the other. */
  private transaction<T>(work: (table: ArchiveTable, now: number) => T): Promise<T> {
    const result = this.running.then(() => this.run(work));
    this.running = result.catch(() => undefined);
    return result;
  }

  private async run<T>(work: (table: ArchiveTable, now: number) => T): Promise<T> {
    try {
      if (this.closed) throw new Error('it is closed');
      const { database, table } = await this.opened();
      const deadline = this.clock.monotonic() + this.waitMs;
      for (;;) {
        try {
          return commit(database, () => work(table, this.clock.now()));
        } catch (error) {
          if (!isLocked(error) || this.clock.monotonic() >= deadline) throw error;
        }
        await sleep(this.clock, PAUSE_MS);
      }
    } catch (error) {
      if (error instanceof DeadLetterArchiveError) throw error;
      throw new DeadLetterArchiveError(`The dead-letter archive ${this.file} failed: ${errorMessage(error)}`, {
        cause: error,
      });
    }
  }

  private async opened(): Promise<Opened> {
    this.opening ??= this.load();
    try {
      return await this.opening;
    } catch (error) {
      // A later call may find what was missing.
      this.opening = undefined;
      throw error;
    }
  }

  private async load(): Promise<Opened> {
    const sqlite = await loadSqlite('sqliteDeadLetterArchive');
    let database: SqliteDatabase | undefined;
    try {
      closeSync(openSync(this.file, 'a', 0o600));
      database = sqlite.open(this.file);
      // Several processes may make the file at once: the first waits are for them.
      database.exec(`PRAGMA busy_timeout = ${this.waitMs}`);
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
      const table = ArchiveTable.in(database);
      database.exec(`PRAGMA busy_timeout = ${BLOCKING_WAIT_MS}`);
      return { database, table };
    } catch (error) {
      database?.close();
      throw new DeadLetterArchiveError(
        `The file ${this.file} cannot be used as a dead-letter archive: ${errorMessage(error)}. Its folder has to exist and be writable, and the file, if there is one, be one of this package`,
        { cause: error },
      );
    }
  }
}

function commit<T>(database: SqliteDatabase, work: () => T): T {
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    database.exec('COMMIT');
    return result;
  } catch (error) {
    try {
      database.exec('ROLLBACK');
    } catch {
      // Some errors have ended the transaction already.
    }
    throw error;
  }
}
