import type { SharedTable } from '../clients/shared-table.js';
import { LISTED, rows, type SqlRow, type SqlValue, type Steps, type TableDefinition } from '../clients/sql-table.js';
import { parseTagged, stringifyTagged } from '../durable-queue/tagged-json.js';
import type { WireMessage } from '../message/message.js';
import { DeadLetterArchiveError } from './dead-letter-archive-error.js';
import type { ArchivedEntry, DeadLetterEntry, ArchiveQuery, DeadLetterArchive } from './dead-letter-archive.js';
import { readDeadLetter } from './dead-letter.js';

const COLUMNS = 'seq, key, queue, archived_at, allow_retry, meta, body';
const ADD = `INSERT INTO dead_letters
  (key, queue, id, route, reason, error_class, error_message, time, archived_at, meta, body)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING`;
const LAST = 'SELECT max(seq) AS number FROM dead_letters';
const ALLOW = `UPDATE dead_letters SET allow_retry = ? WHERE key IN ${LISTED} RETURNING 1`;
const FREE = '(token IS NULL OR claimed_until <= ?)';
const CLAIM = `UPDATE dead_letters SET token = ?, claimed_until = ?
  WHERE key IN ${LISTED} AND (token = ? OR ${FREE}) RETURNING key`;
const RELEASE = `UPDATE dead_letters SET token = NULL, claimed_until = ? WHERE key IN ${LISTED} AND token = ? RETURNING 1`;
const DELETE_OWN = `DELETE FROM dead_letters WHERE key IN ${LISTED} AND token = ? RETURNING 1`;
const DELETE_FREE = `DELETE FROM dead_letters WHERE key IN ${LISTED} AND ${FREE} RETURNING 1`;

/** A row per dead letter. Times are milliseconds since the epoch. Who sets `allow_retry` with SQL is heard, too. */
export const deadLettersTable: TableDefinition = {
  noun: 'dead-letter archive',
  Failure: DeadLetterArchiveError,
  callsTogether: 1,
  sqlite: {
    version: 1,
    schema: `
      CREATE TABLE IF NOT EXISTS dead_letters (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, queue TEXT NOT NULL, id TEXT NOT NULL,
        route TEXT NOT NULL, reason TEXT NOT NULL, error_class TEXT NOT NULL, error_message TEXT NOT NULL, time INTEGER,
        archived_at INTEGER NOT NULL, allow_retry INTEGER NOT NULL DEFAULT 0, token TEXT,
        claimed_until INTEGER NOT NULL DEFAULT 0, meta TEXT NOT NULL, body BLOB NOT NULL);
      CREATE INDEX IF NOT EXISTS dead_letters_id ON dead_letters (id);
      CREATE INDEX IF NOT EXISTS dead_letters_reason ON dead_letters (reason);
      CREATE INDEX IF NOT EXISTS dead_letters_time ON dead_letters (time);
      CREATE INDEX IF NOT EXISTS dead_letters_retry ON dead_letters (seq) WHERE allow_retry <> 0`,
    isOurs: "tbl_name IN ('dead_letters', 'sqlite_sequence')",
  },
  table: 'dead_letters',
  server: {
    version: 1,
    schema: `
      create table if not exists SCHEMA.dead_letters (
        seq bigint generated always as identity primary key, key text not null unique, queue text not null,
        id text not null, route text not null, reason text not null, error_class text not null,
        error_message text not null, time bigint, archived_at bigint not null, allow_retry int not null default 0,
        token text, claimed_until bigint not null default 0, meta text not null, body bytea not null);
      create index if not exists dead_letters_id on SCHEMA.dead_letters using hash (id);
      create index if not exists dead_letters_reason on SCHEMA.dead_letters using hash (reason);
      create index if not exists dead_letters_time on SCHEMA.dead_letters (time);
      create index if not exists dead_letters_retry on SCHEMA.dead_letters (seq) where allow_retry <> 0;`,
  },
};

/** An archive in a database, which other processes may have open, too. */
export class SqlDeadLetterArchive implements DeadLetterArchive {
  constructor(private readonly table: SharedTable) {}

  open(): Promise<void> {
    return this.table.open();
  }

  add(entries: readonly DeadLetterEntry[]): Promise<void> {
    return this.table.call(function* (now) {
      for (const entry of entries) yield* rows(ADD, ...valuesOf(entry, now));
    });
  }

  page(query: ArchiveQuery, afterSeq: number, limit: number): Promise<ArchivedEntry[]> {
    return this.table.call((now) => {
      const { sql, values } = where(query, afterSeq, now);
      const select = `SELECT ${COLUMNS} FROM dead_letters WHERE ${sql} ORDER BY seq LIMIT ?`;
      return entriesOf(rows(select, ...values, limit));
    });
  }

  count(query: ArchiveQuery = {}, afterSeq = 0): Promise<number> {
    return this.table.call((now) => {
      const { sql, values } = where(query, afterSeq, now);
      // Without a condition SQLite counts in its smallest index, and reads no message.
      const all = values.length === 1 && afterSeq === 0;
      const select = `SELECT count(*) AS number FROM dead_letters${all ? '' : ` WHERE ${sql}`}`;
      return numberOf(rows(select, ...(all ? [] : values)));
    });
  }

  lastSeq(): Promise<number> {
    return this.table.call(() => numberOf(rows(LAST)));
  }

  allowRetry(keys: readonly string[], allow: boolean): Promise<number> {
    return this.table.call(() => affected(rows(ALLOW, allow ? 1 : 0, JSON.stringify(keys))));
  }

  claim(keys: readonly string[], token: string, leaseMs: number): Promise<string[]> {
    return this.table.call(function* (now) {
      const claimed = yield* rows(CLAIM, token, now + leaseMs, JSON.stringify(keys), token, now);
      return Array.from(claimed, ({ key }) => key as string);
    });
  }

  release(keys: readonly string[], token: string, waitMs: number): Promise<number> {
    return this.table.call((now) => affected(rows(RELEASE, now + waitMs, JSON.stringify(keys), token)));
  }

  delete(keys: readonly string[], token?: string): Promise<number> {
    const list = JSON.stringify(keys);
    return this.table.call((now) =>
      affected(token === undefined ? rows(DELETE_FREE, list, now) : rows(DELETE_OWN, list, token)),
    );
  }

  close(): Promise<void> {
    return this.table.close();
  }
}

function valuesOf({ key, deadLetterQueue, message }: DeadLetterEntry, now: number): SqlValue[] {
  const { id, route, reason, error, time = null } = readDeadLetter(message, deadLetterQueue);
  const { body, ...meta } = message;
  const told = [id, route, reason, error.class, error.message, time];
  return [key, deadLetterQueue, ...told, now, stringifyTagged(meta), body];
}

function where(
  query: ArchiveQuery,
  afterSeq: number,
  now: number,
): { readonly sql: string; readonly values: SqlValue[] } {
  const { ids, queues, reason, before, after, due } = query;
  const values: SqlValue[] = [afterSeq];
  const conditions = ['seq > ?'];
  const add = (condition: string, value: SqlValue): void => {
    conditions.push(condition);
    values.push(value);
  };
  if (ids) add(`id IN ${LISTED}`, JSON.stringify(ids));
  if (queues) add(`queue IN ${LISTED}`, JSON.stringify(queues));
  if (reason !== undefined) add('reason = ?', reason);
  if (before !== undefined) add('time < ?', before);
  if (after !== undefined) add('time > ?', after);
  if (due) add('allow_retry <> 0 AND claimed_until <= ?', now);
  return { sql: conditions.join(' AND '), values };
}

type Rows = Steps<readonly SqlRow[]>;

function* affected(of: Rows): Steps<number> {
  return (yield* of).length;
}

function* numberOf(of: Rows): Steps<number> {
  const [{ number }] = yield* of;
  return Number(number);
}

function* entriesOf(of: Rows): Steps<ArchivedEntry[]> {
  return Array.from(yield* of, (row) => {
    const meta = parseTagged(row.meta as string) as Omit<WireMessage, 'body'>;
    return {
      seq: Number(row.seq),
      key: row.key as string,
      deadLetterQueue: row.queue as string,
      archivedAt: Number(row.archived_at),
      allowRetry: Number(row.allow_retry) !== 0,
      message: { ...meta, body: Buffer.from(row.body as Uint8Array) },
    };
  });
}
