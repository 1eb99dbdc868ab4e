import { prepareTables } from '../clients/shared-sqlite-file.js';
import type { SqliteDatabase, SqliteRow, SqliteValue } from '../clients/sqlite.js';
import { parseTagged, stringifyTagged } from '../durable-queue/tagged-json.js';
import type { WireMessage } from '../message/message.js';
import type { ArchivedEntry, ArchiveEntry, ArchiveQuery } from './dead-letter-archive.js';
import { readDeadLetter } from './dead-letter.js';

const SCHEMA_VERSION = 1;
const TABLE = 'dead_letters';
const OURS = `tbl_name IN ('${TABLE}', 'sqlite_sequence')`;
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS ${TABLE} (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, queue TEXT NOT NULL, id TEXT NOT NULL,
    route TEXT NOT NULL, reason TEXT NOT NULL, error_class TEXT NOT NULL, error_message TEXT NOT NULL, time INTEGER,
    archived_at INTEGER NOT NULL, allow_retry INTEGER NOT NULL DEFAULT 0, token TEXT,
    claimed_until INTEGER NOT NULL DEFAULT 0, meta TEXT NOT NULL, body BLOB NOT NULL);
  CREATE INDEX IF NOT EXISTS ${TABLE}_id ON ${TABLE} (id);
  CREATE INDEX IF NOT EXISTS ${TABLE}_reason ON ${TABLE} (reason);
  CREATE INDEX IF NOT EXISTS ${TABLE}_time ON ${TABLE} (time);
  CREATE INDEX IF NOT EXISTS ${TABLE}_retry ON ${TABLE} (seq) WHERE allow_retry <> 0`;

const COLUMNS = 'seq, key, queue, archived_at, allow_retry, meta, body';

/** The rows of a dead-letter archive. Times are milliseconds since the epoch. Who sets `allow_retry` with SQL is heard, too. */
export class ArchiveTable {
  private constructor(private readonly database: SqliteDatabase) {}

  /** @throws Error when a file, which is only read, is none of these, or of a later version */
  static assertIn(database: SqliteDatabase): void {
    const { user_version: version } = database.prepare('PRAGMA user_version').get()!;
    const tables = `SELECT count(*) FILTER (WHERE NOT (${OURS})) AS foreign_, count(*) AS all_ FROM sqlite_schema`;
    const { foreign_: foreign, all_: all } = database.prepare(tables).get()!;
    if (all === 0 || foreign !== 0) throw new Error('it is no dead-letter archive');
    if (version !== SCHEMA_VERSION)
      throw new Error(`it is of version ${String(version)}, and this package knows ${SCHEMA_VERSION}`);
  }

  /** Makes what is missing. @throws Error when the file belongs to something else, or to a later version */
  static in(database: SqliteDatabase): ArchiveTable {
    prepareTables(database, { version: SCHEMA_VERSION, schema: SCHEMA, isOurs: OURS });
    return new ArchiveTable(database);
  }

  add({ key, deadLetterQueue, message }: ArchiveEntry, now: number): void {
    const { id, route, reason, error, time } = readDeadLetter(message, deadLetterQueue);
    const { body, ...meta } = message;
    this.database
      .prepare(
        `INSERT INTO ${TABLE} (key, queue, id, route, reason, error_class, error_message, time, archived_at, meta, body)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING`,
      )
      .run(
        key,
        deadLetterQueue,
        id,
        route,
        reason,
        error.class,
        error.message,
        time ?? null,
        now,
        stringifyTagged(meta),
        body,
      );
  }

  page(query: ArchiveQuery, afterSeq: number, limit: number): ArchivedEntry[] {
    const { sql, values } = where(query, afterSeq);
    const rows = this.database.prepare(`SELECT ${COLUMNS} FROM ${TABLE} WHERE ${sql} ORDER BY seq LIMIT ?`);
    return Array.from(rows.all(...values, limit), read);
  }

  /** Those behind a place that fit. */
  count(query: ArchiveQuery = {}, afterSeq = 0): number {
    const { sql, values } = where(query, afterSeq);
    // Without a condition SQLite counts in its smallest index, and reads no message.
    const condition = values.length === 1 && afterSeq === 0 ? '' : ` WHERE ${sql}`;
    const rows = this.database.prepare(`SELECT count(*) AS count FROM ${TABLE}${condition}`);
    return Number(rows.get(...(condition === '' ? [] : values))!.count);
  }

  lastSeq(): number {
    return Number(this.database.prepare(`SELECT max(seq) AS seq FROM ${TABLE}`).get()!.seq ?? 0);
  }

  allowRetry(key: string, allow: boolean): boolean {
    const sql = `UPDATE ${TABLE} SET allow_retry = ? WHERE key = ? RETURNING 1`;
    return this.database.prepare(sql).get(allow ? 1 : 0, key) !== undefined;
  }

  claim(token: string, now: number, until: number, limit: number): ArchivedEntry[] {
    const sql = `UPDATE ${TABLE} SET token = ?, claimed_until = ? WHERE seq IN (
        SELECT seq FROM ${TABLE} WHERE allow_retry <> 0 AND claimed_until <= ? ORDER BY seq LIMIT ?) RETURNING ${COLUMNS}`;
    const rows = this.database.prepare(sql).all(token, until, now, limit);
    return Array.from(rows, read).sort((a, b) => a.seq - b.seq);
  }

  renew(token: string, until: number): void {
    const sql = `UPDATE ${TABLE} SET claimed_until = ? WHERE allow_retry <> 0 AND token = ?`;
    this.database.prepare(sql).run(until, token);
  }

  remove(key: string, token: string): boolean {
    return (
      this.database.prepare(`DELETE FROM ${TABLE} WHERE key = ? AND token = ? RETURNING 1`).get(key, token) !==
      undefined
    );
  }

  /** Claims one, or goes on claiming it, whether it has the flag or not. False: it is gone, or somebody else has it. */
  hold(key: string, token: string, now: number, until: number): boolean {
    const sql = `UPDATE ${TABLE} SET token = ?, claimed_until = ?
      WHERE key = ? AND (token IS NULL OR token = ? OR claimed_until <= ?) RETURNING 1`;
    return this.database.prepare(sql).get(token, until, key, token, now) !== undefined;
  }

  release(key: string, token: string, until: number): boolean {
    const sql = `UPDATE ${TABLE} SET token = NULL, claimed_until = ? WHERE key = ? AND token = ? RETURNING 1`;
    return this.database.prepare(sql).get(until, key, token) !== undefined;
  }

  delete(key: string, now: number): boolean {
    const sql = `DELETE FROM ${TABLE} WHERE key = ? AND (token IS NULL OR claimed_until <= ?) RETURNING 1`;
    return this.database.prepare(sql).get(key, now) !== undefined;
  }
}

function where(query: ArchiveQuery, afterSeq: number): { readonly sql: string; readonly values: SqliteValue[] } {
  const { ids, queues, reason, before, after } = query;
  const values: SqliteValue[] = [afterSeq];
  const conditions = ['seq > ?'];
  const add = (condition: string, value: SqliteValue): void => {
    conditions.push(condition);
    values.push(value);
  };
  if (ids) add('id IN (SELECT value FROM json_each(?))', JSON.stringify(ids));
  if (queues) add('queue IN (SELECT value FROM json_each(?))', JSON.stringify(queues));
  if (reason !== undefined) add('reason = ?', reason);
  if (before !== undefined) add('time < ?', before);
  if (after !== undefined) add('time > ?', after);
  return { sql: conditions.join(' AND '), values };
}

function read(row: SqliteRow): ArchivedEntry {
  const meta = parseTagged(row.meta as string) as Omit<WireMessage, 'body'>;
  return {
    seq: Number(row.seq),
    key: row.key as string,
    deadLetterQueue: row.queue as string,
    archivedAt: Number(row.archived_at),
    allowRetry: Number(row.allow_retry) !== 0,
    message: { ...meta, body: Buffer.from(row.body as Uint8Array) },
  };
}
