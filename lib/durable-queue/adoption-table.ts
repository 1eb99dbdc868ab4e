import type { SqliteDatabase, SqliteRow } from '../clients/sqlite.js';

/** What of another file is in this one: all up to these places. */
export interface AdoptedPlaces {
  readonly file: string;
  readonly entries: number;
  /** Dead letters; they follow when no entry is left, and 0 until then. */
  readonly dead: number;
}

/**
 * What a file took over of others, and which one takes it over. One row for each other file, `upto` says which: above 0
 * the last place of its entries that are here, below 0 that of its dead letters, 0 that it adopts this one.
 */
export class AdoptionTable {
  constructor(private readonly database: SqliteDatabase) {}

  marks(): AdoptedPlaces[] {
    return this.database.prepare('SELECT * FROM adoptions WHERE upto <> 0').all().map(readMark);
  }

  mark(file: string): AdoptedPlaces | undefined {
    const row = this.database.prepare('SELECT * FROM adoptions WHERE file = ? AND upto <> 0').get(file);
    return row && readMark(row);
  }

  setMark({ file, entries, dead }: AdoptedPlaces): void {
    this.database.prepare('INSERT OR REPLACE INTO adoptions VALUES (?, ?)').run(file, dead > 0 ? -dead : entries);
  }

  forget(file: string): void {
    this.database.prepare('DELETE FROM adoptions WHERE file = ?').run(file);
  }

  /** The file that adopts this one: its mark says what of this one is not to be used any more. */
  adopter(): string | undefined {
    return this.database.prepare('SELECT file FROM adoptions WHERE upto = 0').get()?.file as string | undefined;
  }

  setAdopter(file: string): void {
    this.database.prepare('DELETE FROM adoptions WHERE upto = 0').run();
    this.database.prepare('INSERT OR REPLACE INTO adoptions VALUES (?, 0)').run(file);
  }
}

function readMark({ file, upto }: SqliteRow): AdoptedPlaces {
  const place = upto as number;
  return { file: file as string, entries: Math.max(0, place), dead: Math.max(0, -place) };
}
