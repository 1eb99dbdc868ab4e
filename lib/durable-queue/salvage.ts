import type { Sqlite, SqliteDatabase, SqliteRow } from '../clients/sqlite.js';
import type { DeadEntry, QueueEntry, StoredEntry } from './queue-entry.js';
import { PackReader } from './pack.js';
import { packBytes, StoredPack } from './stored-pack.js';
import { readDeadEntry, readRow } from './row.js';

/** Places behind a broken one that are tried one by one; beyond, the steps grow. */
const SINGLE_STEPS = 2_000;
/** The last place is noted every 256 messages; with room for those that were taken back meanwhile. */
const MAX_BEHIND_NOTED = 10_000;

/** What could be read of a damaged file. */
export interface Salvaged {
  /** Rows that were there and not as they were written, or places that could not be read, if known. */
  broken: number;
}

/** Hands out every entry of a damaged file that is still whole, in order. It never throws for the damage itself. */
export function salvage(
  sqlite: Sqlite,
  path: string,
  keep: (entry: QueueEntry) => void,
  keepDead: (entry: DeadEntry) => void,
): Salvaged {
  const salvaged: Salvaged = { broken: 0 };
  let database: SqliteDatabase;
  try {
    database = sqlite.open(path, { defensive: false });
    // Else a file that is shorter than its header says is not read at all.
    database.exec('PRAGMA writable_schema = ON');
  } catch {
    return salvaged;
  }
  try {
    const take = ({ entry }: StoredEntry): void => {
      if (entry) keep(entry);
      else salvaged.broken++;
    };
    for (const row of readableRows(database, 'pack_data', 'last', salvaged))
      for (const stored of packOf(database, row)) take(stored);
    for (const row of readableRows(database, 'messages', 'seq', salvaged)) take(readRow(row));
    for (const row of readableRows(database, 'dead', 'seq', salvaged)) keepDead(readDeadEntry(row));
  } finally {
    database.close();
  }
  return salvaged;
}

/** What has not left a pack; everything in it where that cannot be told any more. */
function packOf(database: SqliteDatabase, { last, data }: SqliteRow): Iterable<StoredEntry> {
  try {
    const row = database.prepare('SELECT * FROM packs WHERE last = ?').get(last);
    if (row) return new StoredPack(row, data).after(0);
  } catch {
    // Its page is broken.
  }
  const reader = new PackReader(packBytes(data));
  if (!reader.isWhole) return [{ seq: last, queue: '', bytes: 0, dueAt: 0, entry: undefined } as StoredEntry];
  return Array.from({ length: reader.count }, (_, at) => reader.entryAt(at));
}

/** Rows by their place; where a page cannot be read, it goes on behind it. */
function* readableRows(
  database: SqliteDatabase,
  table: string,
  place: string,
  salvaged: Salvaged,
): Generator<SqliteRow> {
  let at = 0;
  let failures = 0;
  const last = lastSeq(database, table, place);
  while (at <= last) {
    let row: SqliteRow | undefined;
    try {
      row = database.prepare(`SELECT * FROM ${table} WHERE ${place} > ? ORDER BY ${place} LIMIT 1`).get(at);
    } catch {
      if (failures++ === 0) salvaged.broken++;
      at += failures <= SINGLE_STEPS ? 1 : 2 ** (failures - SINGLE_STEPS);
      continue;
    }
    // A broken tree may lead back to where it was.
    if (!row || (row[place] as number) <= at) return;
    failures = 0;
    at = row[place] as number;
    yield row;
  }
}

function lastSeq(database: SqliteDatabase, table: string, place: string): number {
  const noted = maximum(database, 'SELECT max(value) AS seq FROM state') ?? 0;
  return maximum(database, `SELECT max(${place}) AS seq FROM ${table}`) ?? noted + MAX_BEHIND_NOTED;
}

/** Undefined when the number cannot be read, also where SQLite takes what it cannot read for nothing. */
function maximum(database: SqliteDatabase, sql: string): number | undefined {
  try {
    return (database.prepare(sql).get()?.seq as number | null) ?? undefined;
  } catch {
    return undefined;
  }
}
