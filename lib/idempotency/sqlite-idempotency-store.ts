import { closeSync, openSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Clock } from '../clock/clock.js';
import { sleep } from '../clock/sleep.js';
import { nextTurn } from '../clock/turn.js';
import { isLocked, loadSqlite, type SqliteDatabase } from '../clients/sqlite.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { IdempotencyStoreError } from '../errors/handling-errors.js';
import { knownKeys, numberBetween } from '../errors/option-checks.js';
import { errorMessage } from '../errors/redact.js';
import type { Claim, IdempotencyStore, IdempotencyStoreFactory } from './idempotency-store.js';
import { IdempotencyTable } from './idempotency-table.js';

export interface SqliteIdempotencyStoreOptions {
  /** The file; made when missing, readable by its owner only. Its folder has to be there, on a disk of this machine. */
  readonly file: string;
  /** Milliseconds that a call may wait for other processes before it fails. Default 5,000. */
  readonly busyTimeout?: number;
}

/**
 * Recognises duplicates in all processes that share the file, over restarts and power failures. It needs Node 22.13, or the
 * package `@photostructure/sqlite`. @throws InvalidOptionError
 */
export function sqliteIdempotencyStore(options: SqliteIdempotencyStoreOptions): IdempotencyStoreFactory {
  knownKeys('sqliteIdempotencyStore', options, ['file', 'busyTimeout']);
  const { file, busyTimeout = 5_000 } = options;
  if (typeof file !== 'string' || file === '' || file.includes('\0'))
    throw new InvalidOptionError('sqliteIdempotencyStore.file', file, 'the path of a file');
  const waitMs = numberBetween('sqliteIdempotencyStore.busyTimeout', busyTimeout, 1, 60_000);
  const path = resolve(file);
  return { kind: 'sqlite', create: ({ clock }) => new SqliteIdempotencyStore(path, waitMs, clock) };
}

/** So long SQLite itself waits for a lock, with this process standing still; longer waits leave it free. */
const BLOCKING_WAIT_MS = 20;
const PAUSE_MS = 10;
/** The most calls in one transaction. */
const BATCH = 256;
const PURGE_INTERVAL_MS = 1_000;

interface Call {
  apply(table: IdempotencyTable, now: number): unknown;
  resolve(result: never): void;
  reject(error: unknown): void;
}

/** What is asked in one turn of the event loop shares one transaction, and one fsync. */
class SqliteIdempotencyStore implements IdempotencyStore {
  private opened: { readonly database: SqliteDatabase; readonly table: IdempotencyTable } | undefined;
  private opening: Promise<void> | undefined;
  private calls: Call[] = [];
  private flushing: Promise<void> | undefined;
  private purgedAt = -Infinity;
  private closed = false;

  constructor(
    private readonly file: string,
    private readonly waitMs: number,
    private readonly clock: Clock,
  ) {}

  async open(): Promise<void> {
    this.opening ??= this.load();
    try {
      await this.opening;
    } catch (error) {
      // A later call may find what was missing.
      this.opening = undefined;
      throw error;
    }
  }

  claim(key: string, token: string, leaseMs: number): Promise<Claim> {
    return this.call((table, now) => table.claim(key, token, now, leaseMs));
  }

  renew(key: string, token: string, leaseMs: number): Promise<boolean> {
    return this.call((table, now) => table.renew(key, token, now + leaseMs));
  }

  complete(key: string, token: string, windowMs: number): Promise<boolean> {
    return this.call((table, now) => table.complete(key, token, now, windowMs));
  }

  release(key: string, token: string): Promise<boolean> {
    return this.call((table) => table.release(key, token));
  }

  async close(): Promise<void> {
    if (this.closed) return;
    await this.flushing;
    this.closed = true;
    this.opened?.database.close();
  }

  private call<T>(apply: (table: IdempotencyTable, now: number) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.calls.push({ apply, resolve, reject });
      this.flushing ??= this.flush();
    });
  }

  /** Runs as long as there are calls. */
  private async flush(): Promise<void> {
    await new Promise<void>((resolve) => nextTurn(resolve));
    while (this.calls.length > 0) {
      const batch = this.calls.splice(0, BATCH);
      try {
        if (this.closed) throw new IdempotencyStoreError('The store is closed');
        await this.open();
        const results = await this.transaction(batch);
        batch.forEach((call, at) => call.resolve(results[at] as never));
      } catch (error) {
        for (const call of batch) call.reject(failure(error));
      }
    }
    this.flushing = undefined;
  }

  private async transaction(batch: readonly Call[]): Promise<unknown[]> {
    const deadline = this.clock.monotonic() + this.waitMs;
    for (;;) {
      try {
        return this.commit(batch);
      } catch (error) {
        if (!isLocked(error) || this.clock.monotonic() >= deadline) throw error;
      }
      await sleep(this.clock, PAUSE_MS);
    }
  }

  private commit(batch: readonly Call[]): unknown[] {
    const { database, table } = this.opened!;
    database.exec('BEGIN IMMEDIATE');
    try {
      const now = this.clock.now();
      const results = batch.map((call) => call.apply(table, now));
      if (this.clock.monotonic() - this.purgedAt >= PURGE_INTERVAL_MS) this.purge(table, now);
      database.exec('COMMIT');
      return results;
    } catch (error) {
      rollBack(database);
      throw error;
    }
  }

  private purge(table: IdempotencyTable, now: number): void {
    // A full batch was deleted: there is more.
    this.purgedAt = table.purge(now) ? -Infinity : this.clock.monotonic();
  }

  private async load(): Promise<void> {
    const sqlite = await loadSqlite('sqliteIdempotencyStore');
    let database: SqliteDatabase | undefined;
    try {
      closeSync(openSync(this.file, 'a', 0o600));
      database = sqlite.open(this.file);
      // Several processes may make the file at once: the first waits are for them.
      database.exec(`PRAGMA busy_timeout = ${this.waitMs}`);
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
      const table = IdempotencyTable.in(database);
      database.exec(`PRAGMA busy_timeout = ${BLOCKING_WAIT_MS}`);
      this.opened = { database, table };
    } catch (error) {
      database?.close();
      throw new IdempotencyStoreError(
        `The file ${this.file} cannot be used as an idempotency store: ${errorMessage(error)}. Its folder has to exist and be writable, and the file, if there is one, be one of this package`,
        { cause: error },
      );
    }
  }
}

function failure(error: unknown): unknown {
  return error instanceof IdempotencyStoreError
    ? error
    : new IdempotencyStoreError(`The idempotency store failed: ${errorMessage(error)}`, { cause: error });
}

/** Some errors have ended the transaction already. */
function rollBack(database: SqliteDatabase): void {
  try {
    database.exec('ROLLBACK');
  } catch {
    // See above.
  }
}
