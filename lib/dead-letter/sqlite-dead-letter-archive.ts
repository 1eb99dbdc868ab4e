import { existsSync } from 'node:fs';
import {
  SharedSqliteFile,
  type SharedSqliteFileOptions,
  type SharedSqlitePlace,
  sharedSqlitePlace,
} from '../clients/shared-sqlite-file.js';
import { loadSqlite } from '../clients/sqlite.js';
import type { Clock } from '../clock/clock.js';
import { errorMessage } from '../errors/redact.js';
import { ArchiveTable } from './archive-table.js';
import { DeadLetterArchiveError } from './dead-letter-archive-error.js';
import type { ArchivedEntry, ArchiveEntry, ArchiveQuery, DeadLetterArchiveFactory } from './dead-letter-archive.js';
import type { HoldableArchive } from './archive-source.js';

const NAME = 'sqliteDeadLetterArchive';

export type SqliteDeadLetterArchiveOptions = SharedSqliteFileOptions;

/**
 * Keeps dead letters in a file that several processes of a machine may share, over restarts and power failures. It needs
 * Node 22.13, or the package `@photostructure/sqlite`. @throws InvalidOptionError
 */
export function sqliteDeadLetterArchive(options: SqliteDeadLetterArchiveOptions): DeadLetterArchiveFactory {
  const place = sharedSqlitePlace(NAME, options);
  return { kind: 'sqlite', durable: true, create: ({ clock }) => new SqliteDeadLetterArchive(place, clock) };
}

/**
 * Opens a file that is an archive already; no other is made or written to.
 * @throws DeadLetterArchiveError, InvalidOptionError, MissingPeerError
 */
export async function openArchiveFile(file: string, clock: Clock): Promise<SqliteDeadLetterArchive> {
  const place = sharedSqlitePlace(NAME, { file });
  const sqlite = await loadSqlite(NAME);
  try {
    const database = sqlite.open(place.path, { readOnly: true });
    try {
      database.exec(`PRAGMA busy_timeout = ${place.waitMs}`);
      ArchiveTable.assertIn(database);
    } finally {
      database.close();
    }
  } catch (cause) {
    const why = existsSync(place.path) ? errorMessage(cause) : 'there is no such file';
    throw new DeadLetterArchiveError(
      `${place.path} cannot be used as a dead-letter archive, and was left as it is: ${why}`,
      { cause },
    );
  }
  return new SqliteDeadLetterArchive(place, clock);
}

/** An archive in a file that other processes may have open, too. */
export class SqliteDeadLetterArchive implements HoldableArchive {
  private readonly shared: SharedSqliteFile<ArchiveTable>;
  private running: Promise<unknown> = Promise.resolve();
  private closed = false;

  constructor(
    private readonly place: SharedSqlitePlace,
    private readonly clock: Clock,
  ) {
    this.shared = new SharedSqliteFile(place, clock, {
      neededBy: NAME,
      usedAs: 'a dead-letter archive',
      tableIn: (database) => ArchiveTable.in(database),
      unusable: (message, cause) => new DeadLetterArchiveError(message, { cause }),
    });
  }

  open(): Promise<void> {
    return this.shared.open();
  }

  add(entries: readonly ArchiveEntry[]): Promise<void> {
    return this.transaction((table, now) => entries.forEach((entry) => table.add(entry, now)));
  }

  page(query: ArchiveQuery, afterSeq: number, limit: number): Promise<ArchivedEntry[]> {
    return this.transaction((table) => table.page(query, afterSeq, limit));
  }

  count(query: ArchiveQuery = {}, afterSeq = 0): Promise<number> {
    return this.transaction((table) => table.count(query, afterSeq));
  }

  lastSeq(): Promise<number> {
    return this.transaction((table) => table.lastSeq());
  }

  hold(keys: readonly string[], token: string, leaseMs: number): Promise<string[]> {
    return this.transaction((table, now) => keys.filter((key) => table.hold(key, token, now, now + leaseMs)));
  }

  removeHeld(keys: readonly string[], token: string): Promise<void> {
    return this.transaction((table) => keys.forEach((key) => table.remove(key, token)));
  }

  releaseHeld(keys: readonly string[], token: string): Promise<void> {
    return this.transaction((table, now) => keys.forEach((key) => table.release(key, token, now)));
  }

  allowRetry(keys: readonly string[], allow: boolean): Promise<number> {
    return this.transaction((table) => [...new Set(keys)].filter((key) => table.allowRetry(key, allow)).length);
  }

  claim(token: string, leaseMs: number, limit: number): Promise<ArchivedEntry[]> {
    return this.transaction((table, now) => table.claim(token, now, now + leaseMs, limit));
  }

  renew(token: string, leaseMs: number): Promise<void> {
    return this.transaction((table, now) => table.renew(token, now + leaseMs));
  }

  remove(key: string, token: string): Promise<boolean> {
    return this.transaction((table) => table.remove(key, token));
  }

  release(key: string, token: string, waitMs: number): Promise<boolean> {
    return this.transaction((table, now) => table.release(key, token, now + waitMs));
  }

  delete(keys: readonly string[]): Promise<number> {
    return this.transaction((table, now) => [...new Set(keys)].filter((key) => table.delete(key, now)).length);
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.running;
    await this.shared.close();
  }

  /** One after the other. */
  private transaction<T>(work: (table: ArchiveTable, now: number) => T): Promise<T> {
    const result = this.running.then(() => this.run(work));
    this.running = result.catch(() => undefined);
    return result;
  }

  private async run<T>(work: (table: ArchiveTable, now: number) => T): Promise<T> {
    try {
      if (this.closed) throw new Error('it is closed');
      return await this.shared.transaction((table) => work(table, this.clock.now()));
    } catch (cause) {
      if (cause instanceof DeadLetterArchiveError) throw cause;
      const { path } = this.place;
      throw new DeadLetterArchiveError(`The dead-letter archive ${path} failed: ${errorMessage(cause)}`, { cause });
    }
  }
}
