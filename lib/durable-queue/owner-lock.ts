import { closeSync, openSync, statSync, unlinkSync } from 'node:fs';
import { isLocked, type Sqlite, type SqliteDatabase } from '../clients/sqlite.js';

/**
 * The holder of the lock owns a file. The lock is the operating system's, on a file of its own, by SQLite: it ends with
 * the process that holds it, whatever kills it, and does not depend on process ids, which two containers share.
 */
export class OwnerLock {
  private constructor(
    private readonly path: string,
    private readonly database: SqliteDatabase,
  ) {}

  /** Undefined: another process holds the lock. */
  static tryAcquire(sqlite: Sqlite, path: string): OwnerLock | undefined {
    createFile(path);
    const inode = inodeOf(path);
    const database = sqlite.open(path);
    try {
      // Without the first, the lock would leave a journal file behind.
      database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    } catch (error) {
      database.close();
      if (isLocked(error)) return undefined;
      throw error;
    }
    const lock = new OwnerLock(path, database);
    // The last owner may have removed the file in between: then this is a lock on nothing.
    if (inode !== undefined && inodeOf(path) === inode) return lock;
    lock.release();
    return undefined;
  }

  release(): void {
    this.database.close();
  }

  /** Takes the file itself away, too. */
  remove(): void {
    unlinkSync(this.path);
    this.database.close();
  }
}

/** An existing one is never opened here: to close it would end a lock that this process holds on it. */
function createFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if ((error as { code?: string }).code !== 'EEXIST') throw error;
  }
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}
