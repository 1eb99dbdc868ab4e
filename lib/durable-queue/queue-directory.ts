import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isLocked, type Sqlite } from '../clients/sqlite.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { OwnerLock } from './owner-lock.js';

const FILE = '.queue';
const LOCK = '.owner';
const SIDE_FILES = ['-wal', '-shm', '-journal'];
const QUARANTINE = 'quarantine';

/** A file that this process owns. */
export interface OwnedFile {
  readonly name: string;
  readonly path: string;
  readonly lock: OwnerLock;
}

/** A folder of queue files, one per process, each with its lock beside it. */
export class QueueDirectory {
  readonly path: string;

  constructor(
    path: string,
    private readonly sqlite: Sqlite,
    private readonly option: string,
  ) {
    this.path = resolve(path);
  }

  /** Makes the folder, for its owner only. @throws InvalidOptionError when others could write to it, errors of the file system */
  prepare(): void {
    mkdirSync(this.path, { recursive: true, mode: 0o700 });
    const { mode, uid } = statSync(this.path);
    if (process.getuid && uid !== process.getuid())
      throw new InvalidOptionError(this.option, this.path, 'a directory that belongs to the user of this process');
    if ((mode & 0o002) !== 0)
      throw new InvalidOptionError(this.option, this.path, 'a directory that not everybody can write to (chmod 700)');
  }

  /** A new file of this process; `tag` is a part of its name. */
  create(tag: string): OwnedFile {
    for (;;) {
      const owned = this.claim(`${tag}.${randomUUID()}`);
      if (owned) return owned;
    }
  }

  /** The file of that name, when its owner is dead. */
  claim(name: string): OwnedFile | undefined {
    const lock = OwnerLock.tryAcquire(this.sqlite, join(this.path, name + LOCK));
    return lock && { name, path: this.filePath(name), lock };
  }

  /** Names of the files there are, whoever owns them. */
  names(): string[] {
    return readdirSync(this.path)
      .filter((entry) => entry.endsWith(FILE))
      .map((entry) => entry.slice(0, -FILE.length))
      .sort();
  }

  /** Paths of the files there are, whoever owns them. */
  paths(): string[] {
    return this.names().map((name) => this.filePath(name));
  }

  /** Asked without taking the lock, so that whoever takes the file at this moment is not kept out. */
  isOwned(name: string): boolean {
    const path = join(this.path, name + LOCK);
    if (!existsSync(path)) return false;
    const database = this.sqlite.open(path, { readOnly: true });
    try {
      database.exec('PRAGMA busy_timeout = 0');
      database.prepare('SELECT count(*) FROM sqlite_master').get();
      return false;
    } catch (error) {
      return isLocked(error);
    } finally {
      database.close();
    }
  }

  has(name: string): boolean {
    return existsSync(this.filePath(name));
  }

  /** Removes a file with all that belongs to it; nobody has it open any more. */
  remove({ path, lock }: OwnedFile): void {
    for (const side of SIDE_FILES) rmSync(path + side, { force: true });
    rmSync(path, { force: true });
    lock.remove();
  }

  /** Moves a file that cannot be used out of the way, and returns where it is now; nobody has it open any more. */
  quarantine({ name, path }: OwnedFile): string {
    const directory = join(this.path, QUARANTINE);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const target = join(directory, `${name}-${randomUUID().slice(0, 8)}${FILE}`);
    for (const side of SIDE_FILES) {
      if (existsSync(path + side)) renameSync(path + side, target + side);
    }
    renameSync(path, target);
    return target;
  }

  /** Locks that were left without their file, by a process that died before it made one. */
  sweep(): void {
    for (const entry of readdirSync(this.path)) {
      if (!entry.endsWith(LOCK) || this.has(entry.slice(0, -LOCK.length))) continue;
      const lock = OwnerLock.tryAcquire(this.sqlite, join(this.path, entry));
      if (!lock) continue;
      if (this.has(entry.slice(0, -LOCK.length))) lock.release();
      else lock.remove();
    }
  }

  filePath(name: string): string {
    return join(this.path, name + FILE);
  }
}
