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
    let row = rows.next();
    let entry = packed.next();
    for (let left = limit; left > 0 && !(row.done && entry.done); left--) {
      const found = row.done ? undefined : readRow(row.value);
      if (found && (entry.done || isBefore(found, entry.value))) {
        yield found;
        row = rows.next();
      } else {
        yield entry.value as StoredEntry;
        entry = packed.next();
      }
    }
  } finally {
    rows.return?.();
  }
}

function isDueBefore(one: StoredEntry, other: StoredEntry): boolean {
  return one.dueAt < other.dueAt || (one.dueAt === other.dueAt && one.seq < other.seq);
}
