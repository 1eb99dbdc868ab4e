import type { SharedTable } from '../clients/shared-table.js';
import { hits, rows, type Steps, type TableDefinition } from '../clients/sql-table.js';
import { CoordinationStoreError } from '../errors/coordination-errors.js';
import type { Change, Changed, CoordinationStore } from './coordination-store.js';

/** Entries that are over and are deleted at a time. */
const TIDY_BATCH = 500;

const READ = 'SELECT state FROM coordination WHERE key = ? AND ends_at > ?';
const WRITE = `INSERT INTO coordination (key, state, ends_at) VALUES (?, ?, ?)
  ON CONFLICT (key) DO UPDATE SET state = excluded.state, ends_at = excluded.ends_at RETURNING 1`;
const DELETE = 'DELETE FROM coordination WHERE key = ? RETURNING 1';
const TIDY = `DELETE FROM coordination WHERE key IN
  (SELECT key FROM coordination WHERE ends_at <= ? LIMIT ${TIDY_BATCH}) RETURNING 1`;

/** A row per entry. Times are milliseconds since the epoch. */
export const coordinationTable: TableDefinition = {
  noun: 'coordination store',
  Failure: CoordinationStoreError,
  callsTogether: 256,
  *tidy(now) {
    return (yield* rows(TIDY, now)).length === TIDY_BATCH;
  },
  sqlite: {
    version: 1,
    schema: `
      CREATE TABLE IF NOT EXISTS coordination (key TEXT PRIMARY KEY, state TEXT NOT NULL, ends_at INTEGER NOT NULL)
        WITHOUT ROWID;
      CREATE INDEX IF NOT EXISTS coordination_ends_at ON coordination (ends_at)`,
    isOurs: "tbl_name = 'coordination'",
  },
  table: 'coordination',
  server: {
    version: 1,
    schema: `
      create table if not exists SCHEMA.coordination (key text primary key, state text not null, ends_at bigint not null);
      create index if not exists coordination_ends_at on SCHEMA.coordination (ends_at);`,
  },
};

/** A coordination store in a database. */
export class SqlCoordinationStore implements CoordinationStore {
  /** `keyOf`: what is written of a key, where the database does not take every one. */
  constructor(
    private readonly table: SharedTable,
    private readonly keyOf = (key: string): string => key,
  ) {}

  open(): Promise<void> {
    return this.table.open();
  }

  async change<T>(key: string, change: Change<T>): Promise<T> {
    const attempt = await this.table.call((now) => steps(this.keyOf(key), change, now));
    if ('thrown' in attempt) throw attempt.thrown;
    return attempt.result;
  }

  close(): Promise<void> {
    return this.table.close();
  }
}

/** What a change throws is its own: others share the transaction. */
function* steps<T>(key: string, change: Change<T>, now: number): Steps<Changed<T> | { readonly thrown: unknown }> {
  const [found] = yield* rows(READ, key, now);
  let changed: Changed<T>;
  try {
    changed = change(found?.state as string | undefined, now);
  } catch (thrown) {
    return { thrown };
  }
  if (changed.state === null) yield* hits(DELETE, key);
  else if (changed.state !== undefined) yield* hits(WRITE, key, changed.state, Math.ceil(now + changed.keepMs));
  return changed;
}
