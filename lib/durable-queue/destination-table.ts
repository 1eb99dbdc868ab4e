import type { SqliteDatabase } from '../clients/sqlite.js';

/** Where the entries of a file are to go. An earlier version wrote files without such a table. */
export class DestinationTable {
  constructor(
    private readonly database: SqliteDatabase,
    private readonly transaction: (work: () => void) => void,
  ) {}

  /** Undefined where an earlier version wrote the file. */
  name(): string | undefined {
    if (!this.database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'destination'").get()) return undefined;
    return this.database.prepare('SELECT name FROM destination').get()?.name as string | undefined;
  }

  /** Once: what is there already stays. */
  setName(name: string): void {
    if (this.name() !== undefined) return;
    this.transaction(() => {
      this.database.exec('CREATE TABLE IF NOT EXISTS destination (name TEXT NOT NULL)');
      this.database.prepare('INSERT INTO destination VALUES (?)').run(name);
    });
  }
}
