import type { Sqlite, SqliteDatabase, SqliteRow } from '../clients/sqlite.js';
import type { DeadEntry, QueueEntry } from './queue-entry.js';
import { readDeadEntry, readEntry } from './row.js';

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
    for (const row of readableRows(database, 'messages', salvaged)) {
      const entry = readEntry(row);
      if (entry) keep(entry);
      else salvaged.broken++;
    }
    for (const row of readableRows(database, 'dead', salvaged)) keepDead(readDeadEntry(row));
  } finally {
    database.close();
  }
  return salvaged;
}

/** Rows by their place; where a page cannot be read, it goes on behind it. */
function* readableRows(database: SqliteDatabase, table: string, salvaged: Salvaged): Generator<SqliteRow> {
  let at = 0;
  let failures = 0;
  const last = lastSeq(database, table);
  while (at <= last) {
    let row: SqliteRow | undefined;
    try {
      row = database.prepare(`SELECT * FROM ${table} WHERE seq > ? ORDER BY seq LIMIT 1`).get(at);
    } catch {
      if (failures++ === 0) salvaged.broken++;
      at += failures <= SINGLE_STEPS ? 1 : 2 ** (failures - SINGLE_STEPS);
      continue;
    }
    // A broken tree may lead back to where it was.
    if (!row || (row.seq as number) <= at) return;
    failures = 0;
    at = row.seq as number;
    yield row;
  }
}

function lastSeq(database: SqliteDatabase, table: string): number {
  const noted = maximum(database, 'SELECT max(value) AS seq FROM state') ?? 0;
  return maximum(database, `SELECT max(seq) AS seq FROM ${table}`) ?? noted + MAX_BEHIND_NOTED;
}

/** Undefined when it cannot be read, also where SQLite takes what it cannot read for nothing. */
function maximum(database: SqliteDatabase, sql: string): number | undefined {
  try {
    return (database.prepare(sql).get()?.seq as number | null) ?? undefined;
  } catch {
    return undefined;
  }
}
