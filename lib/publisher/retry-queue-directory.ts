import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { loadSqlite, type Sqlite } from '../clients/sqlite.js';
import { claimAll } from '../durable-queue/directory-claim.js';
import { type OwnedFile, QueueDirectory } from '../durable-queue/queue-directory.js';
import { QueueFile } from '../durable-queue/queue-file.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { RetryQueueStoreError } from '../errors/publish-errors.js';
import { errorMessage } from '../errors/redact.js';
import { QUEUE, readDead } from './disk-retry-queue.js';
import type { PublisherDeadLetter, PublisherDeadLetters } from './publisher-dead-letters.js';

export interface RetryQueueAccess {
  /** False: nothing can be deleted, and an application may be using the directory. */
  readonly own: boolean;
  /** What the option is called that names the directory. */
  readonly option: string;
  /** Only what is for this destination. Left out: everything, which must be for one alone where `own`. */
  readonly destination?: string;
}

/** The places of one file, far more than it ever has: a place among all files is a number, too. */
const PLACES = 2 ** 40;
const MAX_FILES = 2 ** 13;
const PAGE = 100;

/**
 * The publisher's own dead letters in the directory of `diskRetryQueue`, from outside the application. Nothing else in it is
 * touched: what waits is sent by the next application. What cannot be read is an error, and is left as it is.
 */
export class RetryQueueDirectory implements PublisherDeadLetters {
  /** Up to this place what a file holds is in another one, too: a process died while it adopted it. By the file. */
  private adopted: ReadonlyMap<QueueFile, number> = new Map();

  private constructor(
    private readonly files: readonly QueueFile[],
    private readonly owned: readonly OwnedFile[],
  ) {}

  /**
   * @throws InvalidOptionError when there is no such directory, or it is that of a requeue service; DirectoryInUseError;
   * RetryQueueStoreError when a file cannot be read; MissingPeerError
   */
  static async open(path: string, { own, option, destination }: RetryQueueAccess): Promise<RetryQueueDirectory> {
    const sqlite = await loadSqlite('The retry queue on disk');
    const directory = new QueueDirectory(path, sqlite, option);
    if (!existsSync(directory.path)) throw new InvalidOptionError(option, path, 'a directory that exists');
    const names = namesFor(sqlite, directory, own, destination);
    const owned = own ? claimAll(directory, 'application', names) : [];
    const files: QueueFile[] = [];
    const opened = new RetryQueueDirectory(files, owned);
    try {
      const paths = own ? owned.map((file) => file.path) : names.map((name) => directory.filePath(name));
      if (paths.length > MAX_FILES)
        throw new InvalidOptionError(option, `with ${paths.length} files`, `one with ${MAX_FILES} files at most`);
      // All of them are looked at before one is opened for writing.
      for (const one of paths) {
        // Its application may have ended since.
        if (!own && !existsSync(one)) continue;
        const file = using(one, () => QueueFile.read(sqlite, one));
        if (file) files.push(file);
      }
      if (files.some((file) => isOfService(file)))
        throw new InvalidOptionError(
          option,
          path,
          'the directory of diskRetryQueue(); that of a requeue service is for the command requeue',
        );
      if (own) for (const [at, file] of files.entries()) files[at] = forWriting(sqlite, file);
      opened.adopted = adoptedOf(files);
      return opened;
    } catch (error) {
      opened.close();
      throw error;
    }
  }

  get size(): number {
    return this.files.reduce((sum, file) => sum + using(file.path, () => this.deadIn(file)), 0);
  }

  after(place: number, limit: number): PublisherDeadLetter[] {
    const found: PublisherDeadLetter[] = [];
    for (let at = Math.floor(place / PLACES); at < this.files.length && found.length < limit; at++) {
      const file = this.files[at];
      const first = at * PLACES;
      const after = Math.max(place - first, this.adopted.get(file) ?? 0);
      const dead = using(file.path, () => file.deadAfter(QUEUE, after, limit - found.length).map(readDead));
      for (const letter of dead) found.push({ ...letter, seq: first + letter.seq });
    }
    return found;
  }

  delete(letter: PublisherDeadLetter): boolean {
    return this.deleteAll([letter]) === 1;
  }

  /** Deletes the letters of each file in one transaction. */
  deleteAll(letters: readonly PublisherDeadLetter[]): number {
    let deleted = 0;
    for (const [at, file] of this.files.entries()) {
      const places = letters.flatMap(({ seq }) => (Math.floor(seq / PLACES) === at ? [seq % PLACES] : []));
      if (places.length > 0) deleted += using(file.path, () => deleteFrom(file, places));
    }
    return deleted;
  }

  close(): void {
    for (const file of this.files) file.close();
    for (const { lock } of this.owned) lock.release();
  }

  private deadIn(file: QueueFile): number {
    const all = file.totals().get(QUEUE)?.dead ?? 0;
    const adopted = this.adopted.get(file) ?? 0;
    let elsewhere = 0;
    for (let seq = 0; adopted > 0;) {
      const page = file.deadAfter(QUEUE, seq, PAGE).filter((dead) => dead.seq <= adopted);
      elsewhere += page.length;
      if (page.length < PAGE) break;
      seq = page.at(-1)!.seq;
    }
    return all - elsewhere;
  }
}

/** @throws InvalidOptionError when it is not clear whose dead letters are meant, or there are none of that destination */
function namesFor(
  sqlite: Sqlite,
  directory: QueueDirectory,
  own: boolean,
  wanted: string | undefined,
): readonly string[] {
  const names = directory.names();
  if (!own && wanted === undefined) return names;
  const destinations = new Map(names.map((name) => [name, destinationOf(sqlite, directory.filePath(name))]));
  const all = [...new Set(destinations.values())].map((one) => one ?? 'unknown');
  if (wanted === undefined ? all.length > 1 : !all.includes(wanted) && all.length > 0)
    throw new InvalidOptionError('retryQueue.destination', wanted, `one of those in the folder: ${all.join(', ')}`);
  return wanted === undefined ? names : names.filter((name) => (destinations.get(name) ?? 'unknown') === wanted);
}

function destinationOf(sqlite: Sqlite, path: string): string | undefined {
  // Its application may have ended since.
  if (!existsSync(path)) return undefined;
  return using(path, () => {
    const file = QueueFile.read(sqlite, path);
    try {
      return file?.destination.name();
    } finally {
      file?.close();
    }
  });
}

function forWriting(sqlite: Sqlite, file: QueueFile): QueueFile {
  file.close();
  return using(file.path, () => QueueFile.open(sqlite, file.path));
}

function deleteFrom(file: QueueFile, places: readonly number[]): number {
  return file.transaction(() => {
    const deleted = places.filter((place) => file.deleteDead(place)).length;
    if (deleted > 0) file.addTotals(QUEUE, { depth: 0, bytes: 0, dead: -deleted });
    return deleted;
  });
}

/** What the marks of the other files say of each. */
function adoptedOf(files: readonly QueueFile[]): Map<QueueFile, number> {
  const byName = new Map(files.map((file) => [basename(file.path, '.queue'), file]));
  const adopted = new Map<QueueFile, number>();
  for (const adopter of files) {
    for (const { file: name, dead } of using(adopter.path, () => adopter.adoptions.marks())) {
      const file = byName.get(name);
      if (file && file !== adopter) adopted.set(file, Math.max(dead, adopted.get(file) ?? 0));
    }
  }
  return adopted;
}

/** A requeue service has a queue by name. */
function isOfService(file: QueueFile): boolean {
  return using(file.path, () => [...file.totals().keys()].some((queue) => queue !== QUEUE));
}

function using<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw new RetryQueueStoreError(`${path} cannot be used, and was left as it is: ${errorMessage(cause)}`, { cause });
  }
}
