import {
  SharedSqliteFile,
  type SharedSqliteFileOptions,
  type SharedSqlitePlace,
  sharedSqlitePlace,
} from '../clients/shared-sqlite-file.js';
import type { Clock } from '../clock/clock.js';
import { nextTurn } from '../clock/turn.js';
import { IdempotencyStoreError } from '../errors/handling-errors.js';
import { errorMessage } from '../errors/redact.js';
import type { Claim, IdempotencyStore, IdempotencyStoreFactory } from './idempotency-store.js';
import { IdempotencyTable } from './idempotency-table.js';

const NAME = 'sqliteIdempotencyStore';

export type SqliteIdempotencyStoreOptions = SharedSqliteFileOptions;

/**
 * Recognises duplicates in all processes that share the file, over restarts and power failures. It needs Node 22.13, or the
 * package `@photostructure/sqlite`. @throws InvalidOptionError
 */
export function sqliteIdempotencyStore(options: SqliteIdempotencyStoreOptions): IdempotencyStoreFactory {
  const place = sharedSqlitePlace(NAME, options);
  return { kind: 'sqlite', create: ({ clock }) => new SqliteIdempotencyStore(place, clock) };
}

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
  private readonly shared: SharedSqliteFile<IdempotencyTable>;
  private calls: Call[] = [];
  private flushing: Promise<void> | undefined;
  private purgedAt = -Infinity;
  private closed = false;

  constructor(
    place: SharedSqlitePlace,
    private readonly clock: Clock,
  ) {
    this.shared = new SharedSqliteFile(place, clock, {
      neededBy: NAME,
      usedAs: 'an idempotency store',
      tableIn: (database) => IdempotencyTable.in(database),
      unusable: (message, cause) => new IdempotencyStoreError(message, { cause }),
    });
  }

  open(): Promise<void> {
    return this.shared.open();
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
    await this.shared.close();
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
        const results = await this.shared.transaction((table) => this.apply(table, batch));
        batch.forEach((call, at) => call.resolve(results[at] as never));
      } catch (error) {
        for (const call of batch) call.reject(failure(error));
      }
    }
    this.flushing = undefined;
  }

  private apply(table: IdempotencyTable, batch: readonly Call[]): unknown[] {
    const now = this.clock.now();
    const results = batch.map((call) => call.apply(table, now));
    if (this.clock.monotonic() - this.purgedAt >= PURGE_INTERVAL_MS) this.purge(table, now);
    return results;
  }

  private purge(table: IdempotencyTable, now: number): void {
    // A full batch was deleted: there is more.
    this.purgedAt = table.purge(now) ? -Infinity : this.clock.monotonic();
  }
}

function failure(error: unknown): unknown {
  return error instanceof IdempotencyStoreError
    ? error
    : new IdempotencyStoreError(`The idempotency store failed: ${errorMessage(error)}`, { cause: error });
}
