import type { SharedTable } from '../clients/shared-table.js';
import { hits, rows, type TableDefinition } from '../clients/sql-table.js';
import { IdempotencyStoreError } from '../errors/handling-errors.js';
import type { Claim, IdempotencyStore } from './idempotency-store.js';

/** Expired rows that are deleted at a time. */
const TIDY_BATCH = 500;

const CLAIM = `INSERT INTO handled (key, token, ends_at) VALUES (?, ?, ?)
  ON CONFLICT (key) DO UPDATE SET token = excluded.token, ends_at = excluded.ends_at WHERE handled.ends_at <= ?
  RETURNING 1`;
const READ = 'SELECT token, ends_at FROM handled WHERE key = ?';
const RENEW = 'UPDATE handled SET ends_at = ? WHERE key = ? AND token = ? RETURNING 1';
// Also where the row is gone: its lease was over, but nobody took it.
const COMPLETE = `INSERT INTO handled (key, token, ends_at) VALUES (?, NULL, ?)
  ON CONFLICT (key) DO UPDATE SET token = NULL, ends_at = excluded.ends_at
  WHERE handled.token = ? OR handled.ends_at <= ? RETURNING 1`;
const RELEASE = 'DELETE FROM handled WHERE key = ? AND token = ? RETURNING 1';
const TIDY = `DELETE FROM handled WHERE key IN (SELECT key FROM handled WHERE ends_at <= ? LIMIT ${TIDY_BATCH}) RETURNING 1`;

/** A row per key, without a token when it is done. Times are milliseconds since the epoch. */
export const handledTable: TableDefinition = {
  noun: 'idempotency store',
  Failure: IdempotencyStoreError,
  callsTogether: 256,
  *tidy(now) {
    return (yield* rows(TIDY, now)).length === TIDY_BATCH;
  },
  sqlite: {
    version: 1,
    schema: `
      CREATE TABLE IF NOT EXISTS handled (key TEXT PRIMARY KEY, token TEXT, ends_at INTEGER NOT NULL) WITHOUT ROWID;
      CREATE INDEX IF NOT EXISTS handled_ends_at ON handled (ends_at)`,
    isOurs: "tbl_name = 'handled'",
  },
  table: 'handled',
  server: {
    version: 1,
    schema: `
      create table if not exists SCHEMA.handled (key text primary key, token text, ends_at bigint not null);
      create index if not exists handled_ends_at on SCHEMA.handled (ends_at);`,
  },
};

/** An idempotency store in a database. */
export class SqlIdempotencyStore implements IdempotencyStore {
  /** `keyOf`: what is written of a key, where the database does not take every one. */
  constructor(
    private readonly table: SharedTable,
    private readonly keyOf = (key: string): string => key,
  ) {}

  open(): Promise<void> {
    return this.table.open();
  }

  claim(given: string, token: string, leaseMs: number): Promise<Claim> {
    const key = this.keyOf(given);
    return this.table.call<Claim>(function* (now) {
      if (yield* hits(CLAIM, key, token, now + leaseMs, now)) return { state: 'acquired' };
      const [{ token: holder, ends_at: endsAt }] = yield* rows(READ, key);
      return holder === null ? { state: 'done' } : { state: 'in-progress', leaseLeftMs: Number(endsAt) - now };
    });
  }

  renew(key: string, token: string, leaseMs: number): Promise<boolean> {
    return this.table.call((now) => hits(RENEW, now + leaseMs, this.keyOf(key), token));
  }

  complete(key: string, token: string, windowMs: number): Promise<boolean> {
    return this.table.call((now) => hits(COMPLETE, this.keyOf(key), now + windowMs, token, now));
  }

  release(key: string, token: string): Promise<boolean> {
    return this.table.call(() => hits(RELEASE, this.keyOf(key), token));
  }

  close(): Promise<void> {
    return this.table.close();
  }
}
