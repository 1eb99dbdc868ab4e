import type { SharedTable } from '../clients/shared-table.js';
import { hits, LISTED, rows, type SqlRow, type Steps, type TableDefinition } from '../clients/sql-table.js';
import { TransactionRecordError } from '../errors/transaction-errors.js';
import type {
  NewTransactionRecord,
  RecordOwner,
  TransactionNote,
  TransactionRecord,
  TransactionRecordStore,
  TransactionState,
} from './transaction-record.js';

const COLUMNS = 'seq, id, route, state, owner, checks, reason, timeout_ms, prepared_at, meta, body';
const INSERT = `INSERT INTO transaction_records
  (scope, id, route, state, owner, timeout_ms, prepared_at, meta, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`;
const PREPARE = `${INSERT} RETURNING 1`;
const COMMIT = `${INSERT} ON CONFLICT (scope, id) DO UPDATE
  SET state = excluded.state, owner = excluded.owner, reason = NULL RETURNING 1`;
const OWN = 'scope = ? AND id = ? AND owner = ?';
const NOTE = `UPDATE transaction_records SET state = ?, checks = ?, reason = ? WHERE ${OWN} AND state <> 'committed' RETURNING 1`;
const REMOVE = `DELETE FROM transaction_records WHERE ${OWN} RETURNING 1`;
const SCOPES = 'SELECT DISTINCT scope FROM transaction_records ORDER BY scope';
const FIND = `SELECT ${COLUMNS} FROM transaction_records WHERE scope = ? AND id = ?`;
const BEAT = `INSERT INTO transaction_owners (scope, owner, beats) VALUES (?, ?, 1)
  ON CONFLICT (scope, owner) DO UPDATE SET beats = transaction_owners.beats + 1 RETURNING 1`;
const OWNERS = 'SELECT owner, beats FROM transaction_owners WHERE scope = ?';
const BURY = 'DELETE FROM transaction_owners WHERE scope = ? AND owner = ? AND beats = ? RETURNING 1';
const LEAVE = 'DELETE FROM transaction_owners WHERE scope = ? AND owner = ? RETURNING 1';
const ADOPTABLE = `SELECT ${COLUMNS} FROM transaction_records WHERE scope = ?
  AND owner NOT IN (SELECT owner FROM transaction_owners WHERE scope = ?)
  AND (state = 'committed' OR (state <> 'parked' AND route IN ${LISTED})) ORDER BY seq LIMIT ?`;
const ADOPT = `UPDATE transaction_records SET owner = ? WHERE scope = ? AND id IN ${LISTED} RETURNING 1`;
const PAGE = `SELECT ${COLUMNS} FROM transaction_records WHERE scope = ? AND seq > ?`;
const COUNT = 'SELECT state, count(*) AS number FROM transaction_records WHERE scope = ? GROUP BY state';
const PARKED = "scope = ? AND id = ? AND state = 'parked'";
const REOPEN = `UPDATE transaction_records SET state = ?, owner = ?, checks = 0, reason = NULL WHERE ${PARKED} RETURNING 1`;
const DROP = `DELETE FROM transaction_records WHERE ${PARKED} RETURNING 1`;

/** A row per record, and one per process that has any. */
export const transactionTables: TableDefinition = {
  noun: 'store of transaction records',
  Failure: TransactionRecordError,
  callsTogether: 256,
  sqlite: {
    version: 1,
    schema: `
      CREATE TABLE IF NOT EXISTS transaction_records (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, scope TEXT NOT NULL, id TEXT NOT NULL, route TEXT NOT NULL,
        state TEXT NOT NULL, owner TEXT NOT NULL, checks INTEGER NOT NULL DEFAULT 0, reason TEXT,
        timeout_ms INTEGER NOT NULL, prepared_at INTEGER NOT NULL, meta TEXT NOT NULL, body BLOB NOT NULL,
        UNIQUE (scope, id));
      CREATE TABLE IF NOT EXISTS transaction_owners (
        scope TEXT NOT NULL, owner TEXT NOT NULL, beats INTEGER NOT NULL, PRIMARY KEY (scope, owner)) WITHOUT ROWID`,
    isOurs: "tbl_name IN ('transaction_records', 'transaction_owners', 'sqlite_sequence')",
  },
  table: 'transaction_records',
  server: {
    version: 1,
    schema: `
      create table if not exists SCHEMA.transaction_records (
        seq bigint generated always as identity primary key, scope text not null, id text not null, route text not null,
        state text not null, owner text not null, checks int not null default 0, reason text,
        timeout_ms bigint not null, prepared_at bigint not null, meta text not null, body bytea not null,
        unique (scope, id));
      create table if not exists SCHEMA.transaction_owners (
        scope text not null, owner text not null, beats bigint not null, primary key (scope, owner));`,
  },
};

/** Records in a database, which other processes have open, too. */
export class SqlTransactionRecords implements TransactionRecordStore {
  constructor(
    private readonly table: SharedTable,
    private readonly scope: string,
  ) {}

  open(): Promise<void> {
    return this.table.open();
  }

  prepare(record: NewTransactionRecord, owner: string): Promise<void> {
    const { scope } = this;
    return this.table.call(function* () {
      yield* hits(BEAT, scope, owner);
      yield* insert(PREPARE, scope, 'prepared', record, owner);
    });
  }

  commit(record: NewTransactionRecord, owner: string): Promise<void> {
    return this.table.call(() => insert(COMMIT, this.scope, 'committed', record, owner));
  }

  note(id: string, owner: string, { state, checks, reason }: TransactionNote): Promise<boolean> {
    return this.table.call(() => hits(NOTE, state, checks, reason, this.scope, id, owner));
  }

  remove(id: string, owner: string): Promise<boolean> {
    return this.table.call(() => hits(REMOVE, this.scope, id, owner));
  }

  async find(id: string): Promise<TransactionRecord | undefined> {
    const [found] = await this.table.call(() => recordsOf(rows(FIND, this.scope, id)));
    return found;
  }

  async beat(owner: string): Promise<void> {
    await this.table.call(() => hits(BEAT, this.scope, owner));
  }

  async owners(): Promise<RecordOwner[]> {
    const found = await this.table.call(() => rows(OWNERS, this.scope));
    return Array.from(found, ({ owner, beats }) => ({ owner: owner as string, beats: Number(beats) }));
  }

  bury({ owner, beats }: RecordOwner): Promise<boolean> {
    return this.table.call(() => hits(BURY, this.scope, owner, beats));
  }

  async leave(owner: string): Promise<void> {
    await this.table.call(() => hits(LEAVE, this.scope, owner));
  }

  adopt(owner: string, routes: readonly string[], limit: number): Promise<TransactionRecord[]> {
    const { scope } = this;
    return this.table.call(function* () {
      const found = yield* recordsOf(rows(ADOPTABLE, scope, scope, JSON.stringify(routes), limit));
      if (found.length === 0) return found;
      yield* hits(BEAT, scope, owner);
      yield* rows(ADOPT, owner, scope, JSON.stringify(found.map(({ id }) => id)));
      return found.map((record) => ({ ...record, owner }));
    });
  }

  page(state: TransactionState | undefined, afterSeq: number, limit: number): Promise<TransactionRecord[]> {
    const [condition, values] = state === undefined ? ['', []] : [' AND state = ?', [state]];
    const text = `${PAGE}${condition} ORDER BY seq LIMIT ?`;
    return this.table.call(() => recordsOf(rows(text, this.scope, afterSeq, ...values, limit)));
  }

  async count(): Promise<Record<TransactionState, number>> {
    const counts = { prepared: 0, unknown: 0, parked: 0, committed: 0 };
    for (const { state, number } of await this.table.call(() => rows(COUNT, this.scope)))
      counts[state as TransactionState] = Number(number);
    return counts;
  }

  resolve(id: string, owner: string, outcome: 'committed' | 'rolled-back' | 'unknown'): Promise<boolean> {
    const { scope } = this;
    return this.table.call(function* () {
      if (outcome === 'rolled-back') return yield* hits(DROP, scope, id);
      yield* hits(BEAT, scope, owner);
      return yield* hits(REOPEN, outcome, owner, scope, id);
    });
  }

  close(): Promise<void> {
    return this.table.close();
  }
}

/** Whose records there are. */
export async function scopesIn(table: SharedTable): Promise<string[]> {
  return Array.from(await table.call(() => rows(SCOPES)), ({ scope }) => scope as string);
}

function* insert(
  text: string,
  scope: string,
  state: TransactionState,
  { id, route, timeoutMs, preparedAt, meta, body }: NewTransactionRecord,
  owner: string,
): Steps<void> {
  yield* hits(text, scope, id, route, state, owner, timeoutMs, preparedAt, meta, body);
}

function* recordsOf(of: Steps<readonly SqlRow[]>): Steps<TransactionRecord[]> {
  return Array.from(yield* of, (row) => ({
    seq: Number(row.seq),
    id: row.id as string,
    route: row.route as string,
    state: row.state as TransactionState,
    owner: row.owner as string,
    checks: Number(row.checks),
    ...(row.reason !== null && { reason: row.reason as string }),
    timeoutMs: Number(row.timeout_ms),
    preparedAt: Number(row.prepared_at),
    meta: row.meta as string,
    body: Buffer.from(row.body as Uint8Array),
  }));
}
