import { prepareTables } from '../clients/shared-sqlite-file.js';
import type { SqliteDatabase, SqliteStatement } from '../clients/sqlite.js';
import type { Claim } from './idempotency-store.js';

const SCHEMA_VERSION = 1;
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS handled (key TEXT PRIMARY KEY, token TEXT, ends_at INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS handled_ends_at ON handled (ends_at)`;
/** Expired rows that are deleted at a time. */
const PURGE_BATCH = 500;

/** The rows of an idempotency store: one per key, without a token when it is done. Times are milliseconds since the epoch. */
export class IdempotencyTable {
  private readonly take: SqliteStatement;
  private readonly read: SqliteStatement;
  private readonly extend: SqliteStatement;
  private readonly finish: SqliteStatement;
  private readonly free: SqliteStatement;
  private readonly expire: SqliteStatement;

  private constructor(database: SqliteDatabase) {
    this.take = database.prepare(
      `INSERT INTO handled (key, token, ends_at) VALUES (?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET token = excluded.token, ends_at = excluded.ends_at WHERE ends_at <= ?
       RETURNING 1`,
    );
    this.read = database.prepare('SELECT token, ends_at FROM handled WHERE key = ?');
    this.extend = database.prepare('UPDATE handled SET ends_at = ? WHERE key = ? AND token = ? RETURNING 1');
    // Also where the row is gone: its lease was over, but nobody took it.
    this.finish = database.prepare(
      `INSERT INTO handled (key, token, ends_at) VALUES (?, NULL, ?)
       ON CONFLICT (key) DO UPDATE SET token = NULL, ends_at = excluded.ends_at WHERE token = ? OR ends_at <= ?
       RETURNING 1`,
    );
    this.free = database.prepare('DELETE FROM handled WHERE key = ? AND token = ? RETURNING 1');
    this.expire = database.prepare(
      `DELETE FROM handled WHERE key IN (SELECT key FROM handled WHERE ends_at <= ? LIMIT ${PURGE_BATCH}) RETURNING 1`,
    );
  }

  /** Makes what is missing. @throws Error when the file belongs to something else, or to a later version */
  static in(database: SqliteDatabase): IdempotencyTable {
    prepareTables(database, { version: SCHEMA_VERSION, schema: SCHEMA, isOurs: "name = 'handled'" });
    return new IdempotencyTable(database);
  }

  claim(key: string, token: string, now: number, leaseMs: number): Claim {
    if (this.take.get(key, token, now + leaseMs, now)) return { state: 'acquired' };
    const { token: holder, ends_at: endsAt } = this.read.get(key)!;
    return holder === null ? { state: 'done' } : { state: 'in-progress', leaseLeftMs: Number(endsAt) - now };
  }

  renew(key: string, token: string, endsAt: number): boolean {
    return this.extend.get(endsAt, key, token) !== undefined;
  }

  complete(key: string, token: string, now: number, windowMs: number): boolean {
    return this.finish.get(key, now + windowMs, token, now) !== undefined;
  }

  release(key: string, token: string): boolean {
    return this.free.get(key, token) !== undefined;
  }

  /** Deletes some of what is over; true: there may be more. */
  purge(now: number): boolean {
    return this.expire.all(now).length === PURGE_BATCH;
  }
}
