import type { SqliteRow } from '../clients/sqlite.js';
import type { StoredEntry } from './queue-entry.js';
import { readRow } from './row.js';

/** Rows and entries of packs, both in order, as one. */
export function* inOrder(
  rows: IterableIterator<SqliteRow>,
  packed: Iterator<StoredEntry> = [].values(),
  limit: number,
  isBefore = isDueBefore,
): Generator<StoredEntry> {
  try {
    let row = readNext(rows);
    let entry = packed.next();
    for (let left = limit; left > 0 && (row || !entry.done); left--) {
      if (row && (entry.done || isBefore(row, entry.value))) {
        yield row;
        row = readNext(rows);
      } else {
        yield entry.value as StoredEntry;
        entry = packed.next();
      }
    }
  } finally {
    rows.return?.();
  }
}

function readNext(rows: Iterator<SqliteRow>): StoredEntry | undefined {
  const next = rows.next();
  return next.done ? undefined : readRow(next.value);
}

function isDueBefore(one: StoredEntry, other: StoredEntry): boolean {
  return one.dueAt < other.dueAt || (one.dueAt === other.dueAt && one.seq < other.seq);
}
