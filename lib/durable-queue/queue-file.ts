import { closeSync, fsyncSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import {
  inTransaction,
  type Sqlite,
  type SqliteDatabase,
  type SqliteRow,
  type SqliteStatement,
} from '../clients/sqlite.js';
import { AdoptionTable } from './adoption-table.js';
import { DestinationTable } from './destination-table.js';
import { inOrder } from './in-order.js';
import { insertEntry } from './insert-entry.js';
import { runs } from './pack.js';
import { PackTable } from './pack-table.js';
import type { DeadEntry, Death, QueueEntry, QueueTotals, StoredEntry } from './queue-entry.js';
import { readDeadEntry, readRow } from './row.js';
import type { Leaving } from './stored-pack.js';
import { isOurs, prepareSchema } from './schema.js';

const LAST_SEQ = 'last-seq';
const BUSY_TIMEOUT_MS = 1_000;
/** So many appended entries are left out of the totals at most. */
const MANY_UNCOUNTED = 256;
const UNCOUNTED = `SELECT queue, sum(depth), sum(bytes), 0 FROM (
  SELECT queue, count(*) AS depth, sum(bytes) AS bytes FROM messages WHERE seq > ?1 GROUP BY queue
  UNION ALL SELECT queue, sum(remaining), sum(bytes) FROM packs WHERE last > ?1 GROUP BY queue) GROUP BY queue`;
const ADD_TOTALS = `ON CONFLICT (queue) DO UPDATE SET
  depth = depth + excluded.depth, bytes = bytes + excluded.bytes, dead = dead + excluded.dead`;

/** Where a reading of the first of each lane has got to. */
export interface ReadyPosition {
  readonly queue: string;
  readonly priority: number;
  readonly dueAt: number;
  readonly seq: number;
}

/** One open file of entries: the SQL of this package, statement by statement. Writes belong into `transaction`. */
export class QueueFile {
  private closed = false;
  private uncounted = 0;
  readonly adoptions: AdoptionTable;
  readonly destination: DestinationTable;
  private readonly packs: PackTable;

  private constructor(
    readonly path: string,
    private readonly database: SqliteDatabase,
  ) {
    this.adoptions = new AdoptionTable(database);
    this.destination = new DestinationTable(database, (work) => this.transaction(work));
    this.packs = new PackTable(database);
  }

  /** Opens a file, or makes it, readable by its owner only. @throws ForeignFileError, errors of SQLite and the file system */
  static open(sqlite: Sqlite, path: string): QueueFile {
    createPrivateFile(path);
    const database = sqlite.open(path);
    try {
      database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
      // Asked first, because the next line writes.
      database.prepare('PRAGMA application_id').get();
      prepareSchema(database);
      // FULL: a commit returns after its bytes are on the disk.
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY');
      const file = new QueueFile(path, database);
      // A broken header or table shows here, not at the first message.
      file.uncounted = file.lastSeq() - file.countedUpTo();
      return file;
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /** Opens a file for reading only, while its owner works on; undefined when nothing was written to it yet. @throws as `open` */
  static read(sqlite: Sqlite, path: string): QueueFile | undefined {
    const database = sqlite.open(path, { readOnly: true });
    try {
      database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
      if (isOurs(database)) return new QueueFile(path, database);
      database.close();
      return undefined;
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /** All of `work`, on the disk when it returns, or nothing. */
  transaction<T>(work: () => T): T {
    try {
      return inTransaction(this.database, () => {
        const result = work();
        this.packs.flush();
        return result;
      });
    } catch (error) {
      this.packs.reset();
      throw error;
    }
  }

  /** Appends entries; it must have been `count`ed before any is deleted. */
  insert(entries: readonly QueueEntry[]): void {
    const { packed, single } = runs(entries);
    for (const run of packed) this.packs.insert(run);
    for (const entry of single) insertEntry(this.database, entry);
    this.uncounted += entries.length;
    if (this.uncounted >= MANY_UNCOUNTED) this.count();
  }

  /**
   * Brings the totals and the last place up to what is there. An append leaves them as they are, so that it writes less;
   * whatever deletes has to call this first, or counts would be wrong and a place could be given twice.
   */
  count(lastSeq = 0): void {
    const last = Math.max(lastSeq, this.lastSeq());
    this.run(`INSERT INTO totals ${UNCOUNTED} ${ADD_TOTALS}`, this.countedUpTo());
    this.run('INSERT OR REPLACE INTO state VALUES (?, ?)', LAST_SEQ, last);
    this.uncounted = 0;
  }

  delete(seq: number): boolean {
    return this.packs.delete(seq) || this.changes('DELETE FROM messages WHERE seq = ?', seq) > 0;
  }

  /** Takes away what another file has adopted: entries, and dead letters, up to these places. */
  discardUpTo(entries: number, dead: number): void {
    this.count();
    this.run('DELETE FROM messages WHERE seq <= ?', entries);
    this.packs.deleteUpTo(entries);
    this.run('DELETE FROM dead WHERE seq <= ?', dead);
    this.repairHeads();
    this.recount();
  }

  /** Every lane gets its head again; costs a look at every entry that has a lane. */
  repairHeads(): void {
    this.run(
      `UPDATE messages SET head = 1 WHERE head = 0
        AND seq IN (SELECT min(seq) FROM messages WHERE lane IS NOT NULL GROUP BY queue, lane)`,
    );
  }

  private recount(): void {
    this.run('DELETE FROM totals');
    this.run(
      `INSERT INTO totals SELECT queue, sum(depth), sum(bytes), sum(dead) FROM (
        SELECT queue, count(*) AS depth, sum(bytes) AS bytes, 0 AS dead FROM messages GROUP BY queue
        UNION ALL SELECT queue, sum(remaining), sum(bytes), 0 FROM packs GROUP BY queue
        UNION ALL SELECT queue, 0, 0, count(*) FROM dead GROUP BY queue) GROUP BY queue`,
    );
  }

  /** Makes the first of a lane its head. */
  promote(queue: string, lane: string): void {
    this.run(
      'UPDATE messages SET head = 1 WHERE seq = (SELECT seq FROM messages WHERE queue = ? AND lane = ? ORDER BY seq LIMIT 1)',
      queue,
      lane,
    );
  }

  /** The entry has other times and attempts now. */
  update(entry: QueueEntry): void {
    const { seq, dueAt, attempts, returns } = entry;
    // What is different from the others of its pack becomes a row.
    if (this.packs.delete(seq)) return insertEntry(this.database, entry);
    this.run('UPDATE messages SET due_at = ?, attempts = ?, returns = ? WHERE seq = ?', dueAt, attempts, returns, seq);
  }

  insertDead(entry: Omit<DeadEntry, keyof Death>, death: Death): void {
    const { seq, queue, id, attempts, bytes, meta, body } = entry;
    this.run(
      'INSERT OR REPLACE INTO dead VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
      ...[seq, queue, id, attempts, bytes, meta, body],
      ...[death.reason, death.errorClass, death.errorCode, death.errorMessage, death.time],
    );
  }

  deleteDead(seq: number): boolean {
    return this.changes('DELETE FROM dead WHERE seq = ?', seq) > 0;
  }

  /** Sets what is not what was written apart, and tells how much that was. */
  setApart({ seq, bytes }: StoredEntry): Leaving {
    const left = this.packs.setApart(seq);
    if (left) return left;
    this.run(
      'INSERT OR REPLACE INTO damaged SELECT seq, queue, id, lane, meta, body, checksum FROM messages WHERE seq = ?',
      seq,
    );
    return { count: this.changes('DELETE FROM messages WHERE seq = ?', seq), bytes };
  }

  addTotals(queue: string, { depth, bytes, dead }: QueueTotals): void {
    this.run(`INSERT INTO totals VALUES (?, ?, ?, ?) ${ADD_TOTALS}`, ...[queue, depth, bytes, dead]);
    this.run('DELETE FROM totals WHERE queue = ? AND depth = 0 AND dead = 0', queue);
  }

  totals(): Map<string, QueueTotals> {
    const rows = this.all(
      `SELECT queue, sum(depth) AS depth, sum(bytes) AS bytes, sum(dead) AS dead
        FROM (SELECT * FROM totals UNION ALL ${UNCOUNTED}) GROUP BY queue`,
      this.countedUpTo(),
    );
    return new Map(rows.map((row) => [row.queue as string, row as unknown as QueueTotals]));
  }

  lastSeq(): number {
    const rows = this.get('SELECT max(seq) AS rows FROM messages')?.rows;
    const packs = this.get('SELECT max(last) AS packs FROM packs')?.packs;
    return Math.max(this.countedUpTo(), Number(rows ?? 0), Number(packs ?? 0));
  }

  private countedUpTo(): number {
    return Number(this.get('SELECT value FROM state WHERE name = ?', LAST_SEQ)?.value ?? 0);
  }

  /** The first of each lane after a position, within one priority, due in `(dueAfter, dueUntil]`. */
  ready({ queue, priority, dueAt, seq }: ReadyPosition, dueUntil: number, limit: number): Iterable<StoredEntry> {
    const rows = this.statement(
      `SELECT * FROM messages WHERE head = 1 AND queue = ? AND priority = ? AND (due_at, seq) > (?, ?) AND due_at <= ?
        ORDER BY due_at, seq LIMIT ?`,
    ).iterate(queue, priority, dueAt, seq, dueUntil, limit);
    // What is in a pack is due at once.
    if (priority !== 0 || dueAt > 0) return inOrder(rows, undefined, limit);
    return inOrder(rows, this.packs.after(dueAt < 0 ? 0 : seq, queue), limit);
  }

  nextDueAt(queue: string, priority: number, after: number): number | undefined {
    const row = this.get(
      'SELECT due_at FROM messages WHERE head = 1 AND queue = ? AND priority = ? AND due_at > ? ORDER BY due_at LIMIT 1',
      ...[queue, priority, after],
    );
    return row?.due_at as number | undefined;
  }

  nextExpiry(queue: string): number | undefined {
    const row = this.get(
      'SELECT min(expires_at) AS at FROM messages WHERE queue = ? AND expires_at IS NOT NULL',
      queue,
    );
    return (row?.at as number | null) ?? undefined;
  }

  expired(queue: string, now: number, limit: number): StoredEntry[] {
    return this.all(
      'SELECT * FROM messages WHERE queue = ? AND expires_at IS NOT NULL AND expires_at <= ? ORDER BY expires_at LIMIT ?',
      ...[queue, now, limit],
    ).map(readRow);
  }

  /** When the longest waiting entry of this priority, of those that are due, was queued. */
  oldestQueuedAt(queue: string, priority: number, now: number): number | undefined {
    const row = this.get(
      'SELECT queued_at FROM messages WHERE head = 1 AND queue = ? AND priority = ? AND due_at <= ? ORDER BY due_at, seq LIMIT 1',
      ...[queue, priority, now],
    );
    const pack = priority === 0 && this.get('SELECT queued_at FROM packs WHERE queue = ? ORDER BY last LIMIT 1', queue);
    const times = [row, pack].filter((found) => found).map((found) => (found as SqliteRow).queued_at as number);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** The entries of a lane behind a place, in order. */
  laneAfter(queue: string, lane: string, seq: number): Iterable<StoredEntry> {
    const rows = this.statement('SELECT * FROM messages WHERE queue = ? AND lane = ? AND seq > ? ORDER BY seq').iterate(
      ...[queue, lane, seq],
    );
    return inOrder(rows, undefined, Infinity);
  }

  /** Every entry, in the order of their places. */
  entries(limit: number): Iterable<StoredEntry> {
    const rows = this.statement('SELECT * FROM messages ORDER BY seq LIMIT ?').iterate(limit);
    return inOrder(rows, this.packs.after(0), limit, (one, other) => one.seq < other.seq);
  }

  delayedWithId(queue: string, id: string): StoredEntry[] {
    return this.all('SELECT * FROM messages WHERE queue = ? AND id = ? AND due_at > 0', queue, id).map(readRow);
  }

  contains(seq: number): boolean {
    return this.packs.has(seq) || this.get('SELECT 1 FROM messages WHERE seq = ?', seq) !== undefined;
  }

  dead(seq: number): DeadEntry | undefined {
    const row = this.get('SELECT * FROM dead WHERE seq = ?', seq);
    return row && readDeadEntry(row);
  }

  deadAfter(queue: string | undefined, seq: number, limit: number): DeadEntry[] {
    const rows =
      queue === undefined
        ? this.all('SELECT * FROM dead WHERE seq > ? ORDER BY seq LIMIT ?', seq, limit)
        : this.all('SELECT * FROM dead WHERE queue = ? AND seq > ? ORDER BY seq LIMIT ?', queue, seq, limit);
    return rows.map(readDeadEntry);
  }

  /** The index is made for who asks. */
  oldestDead(queue: string, limit: number): DeadEntry[] {
    this.run('CREATE INDEX IF NOT EXISTS dead_by_time ON dead (queue, time, seq)');
    return this.all('SELECT * FROM dead WHERE queue = ? ORDER BY time, seq LIMIT ?', queue, limit).map(readDeadEntry);
  }

  /** Nothing would be missed without the file: entries, dead letters, or marks that another file depends on. */
  get isEmpty(): boolean {
    return (
      this.adoptions.marks().length === 0 &&
      this.get('SELECT 1 FROM messages LIMIT 1') === undefined &&
      this.get('SELECT 1 FROM packs LIMIT 1') === undefined &&
      this.get('SELECT 1 FROM dead LIMIT 1') === undefined &&
      this.get('SELECT 1 FROM damaged LIMIT 1') === undefined
    );
  }

  /** Gives the space of what has left back to the file system; costs as much as what is left. */
  shrink(): void {
    this.database.exec('VACUUM; PRAGMA wal_checkpoint(TRUNCATE)');
  }

  get size(): number {
    return Number(this.get('PRAGMA page_count')?.page_count) * Number(this.get('PRAGMA page_size')?.page_size);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    try {
      // Closing does this, but not everywhere at once (see lib/clients/sqlite.ts).
      this.database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    } catch {
      // The file is damaged, or the disk is full: the log stays, and is read by who opens the file next.
    }
    this.database.close();
  }

  private run(sql: string, ...values: (string | number | null | Uint8Array)[]): void {
    this.statement(sql).run(...values);
  }

  private changes(sql: string, ...values: (string | number)[]): number {
    return Number((this.statement(sql).run(...values) as { changes: number | bigint }).changes);
  }

  private get(sql: string, ...values: (string | number)[]): SqliteRow | undefined {
    return this.statement(sql).get(...values);
  }

  private all(sql: string, ...values: (string | number)[]): SqliteRow[] {
    return this.statement(sql).all(...values);
  }

  private statement(sql: string): SqliteStatement {
    return this.database.prepare(sql);
  }
}

/** SQLite gives its side files the permissions of the main file, so that one is made first. */
function createPrivateFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if ((error as { code?: string }).code === 'EEXIST') return;
    throw error;
  }
  const directory = openSync(dirname(path), 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
