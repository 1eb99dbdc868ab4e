import { errorMessage } from '../errors/redact.js';
import { isDamage, type Sqlite } from '../clients/sqlite.js';
import { type FileDestinations, tagOf } from './destination.js';
import type { OwnedFile, QueueDirectory } from './queue-directory.js';
import { QueueFile } from './queue-file.js';
import type { QueueLog } from './queue-observer.js';
import { QueueStatistics } from './queue-statistics.js';
import { salvage } from './salvage.js';
import { ForeignFileError } from './schema.js';

interface WhatToRead {
  /** Entries that are not wanted any more. */
  readonly removed?: (seq: number) => boolean;
  /** Dead letters up to this place are not wanted either. */
  readonly deadUpTo?: number;
  /** The entries get places behind what is there. */
  readonly newPlaces?: boolean;
}

interface Read {
  readonly count: number;
  readonly broken: number;
}

/** The one file that this process writes: how it comes to have it, and what happens when it breaks. */
export class OwnFile {
  private owned: OwnedFile | undefined;
  private opened: QueueFile | undefined;
  /** Files that were read, and could not be moved away then. */
  private readonly unmoved = new Map<string, { readonly read: Read; readonly error: unknown }>();
  /** Files that were moved out of the way. */
  quarantined = 0;

  constructor(
    private readonly sqlite: Sqlite,
    private readonly directory: QueueDirectory,
    private readonly destinations: FileDestinations,
    private readonly log: QueueLog,
  ) {}

  get file(): QueueFile | undefined {
    return this.opened;
  }

  get name(): string | undefined {
    return this.owned?.name;
  }

  /** Takes the file of a dead process over, or makes a new one. @throws errors of SQLite and the file system */
  open(): QueueFile {
    this.directory.sweep();
    const broken: { readonly path: string; readonly error: unknown }[] = [];
    const file = this.openFirst((path, error) => broken.push({ path, error }));
    for (const { path, error } of broken) this.replaced(path, error, this.read(file, path, { newPlaces: true }));
    return file;
  }

  /** Opens another one's file, which stays locked; undefined when it is none of ours, and now in quarantine. @throws errors of SQLite */
  openOrphan(owned: OwnedFile): QueueFile | undefined {
    const unmoved = this.unmoved.get(owned.name);
    if (unmoved) throw unmoved.error;
    try {
      return QueueFile.open(this.sqlite, owned.path);
    } catch (error) {
      if (!(error instanceof ForeignFileError)) throw error;
      this.setAside(owned, error);
      return undefined;
    }
  }

  /** The file is damaged: goes on with a new one, and what could be read of the old. */
  replace(error: unknown, removed: (seq: number) => boolean): QueueFile {
    const owned = this.owned!;
    this.opened?.close();
    this.opened = undefined;
    this.owned = undefined;
    const old = this.directory.quarantine(owned);
    owned.lock.remove();
    // Under a new name: see lib/clients/sqlite.ts.
    const next = this.create();
    let file: QueueFile | undefined;
    try {
      file = QueueFile.open(this.sqlite, next.path);
      file.destination.setName(this.destinations.own.name);
      this.replaced(old, error, this.read(file, old, { removed }));
    } catch (cause) {
      file?.close();
      next.lock.release();
      throw cause;
    }
    this.owned = next;
    this.opened = file;
    return file;
  }

  /** Everything was taken out of another one's file but rows that are not what was written. */
  setDamagedAside(owned: OwnedFile): void {
    this.setAside(owned, 'rows in it are not what was written');
  }

  /** Puts what can be read of a damaged file into the own one, at new places, but what it has of it already. */
  salvageOrphan(owned: OwnedFile, error: unknown): void {
    const file = this.opened!;
    const { entries = 0, dead = 0 } = file.adoptions.mark(owned.name) ?? {};
    const wanted = { newPlaces: true, removed: (seq: number) => seq <= entries, deadUpTo: dead };
    // Before the file is moved: where this cannot be written it is tried again, and where that fails, that alone.
    const read = this.unmoved.get(owned.name)?.read ?? this.read(file, owned.path, wanted);
    this.unmoved.set(owned.name, { read, error });
    this.replaced(this.directory.quarantine(owned), error, read);
    this.unmoved.delete(owned.name);
    owned.lock.remove();
  }

  close(remove: boolean): void {
    this.opened?.close();
    this.opened = undefined;
    if (!this.owned) return;
    if (remove) this.directory.remove(this.owned);
    else this.owned.lock.release();
    this.owned = undefined;
  }

  private openFirst(onBroken: (path: string, error: unknown) => void): QueueFile {
    for (const name of this.destinations.toOpen()) {
      const owned = this.directory.claim(name);
      const file = owned && this.openOwned(owned, onBroken);
      if (file) return file;
    }
    const owned = this.create();
    const file = this.openOwned(owned, onBroken);
    if (!file) throw new Error(`${owned.path} cannot be opened`);
    return file;
  }

  private openOwned(owned: OwnedFile, onBroken: (path: string, error: unknown) => void): QueueFile | undefined {
    let file: QueueFile | undefined;
    try {
      file = QueueFile.open(this.sqlite, owned.path);
      const adopter = file.adoptions.adopter();
      if (adopter !== undefined && this.directory.has(adopter)) {
        // Some entries may be in that file as well: it is adopted like any other.
        file.close();
        owned.lock.release();
        return undefined;
      }
      file.destination.setName(this.destinations.own.name);
      this.opened = file;
      this.owned = owned;
      return file;
    } catch (error) {
      file?.close();
      if (isDamage(error)) {
        onBroken(this.directory.quarantine(owned), error);
        owned.lock.remove();
      } else if (error instanceof ForeignFileError) {
        this.setAside(owned, error);
      } else {
        owned.lock.release();
        throw error;
      }
      return undefined;
    }
  }

  private create(): OwnedFile {
    return this.directory.create(tagOf(this.destinations.own.name));
  }

  private setAside(owned: OwnedFile, error: unknown): void {
    const target = this.directory.quarantine(owned);
    owned.lock.remove();
    this.quarantined++;
    this.log.error(
      `A file that cannot be read was moved to ${target} and nothing of it is sent: ${errorMessage(error)}`,
    );
  }

  private replaced(old: string, error: unknown, { count, broken }: Read): void {
    this.quarantined++;
    this.log.error(
      `A damaged file was moved to ${old}; ${count} messages were read out of it, ${broken} places were not readable: ${errorMessage(error)}`,
    );
  }

  /** Puts what can be read of a damaged file into another. */
  private read(
    file: QueueFile,
    old: string,
    { removed = () => false, deadUpTo = 0, newPlaces = false }: WhatToRead,
  ): Read {
    let count = 0;
    let last = file.lastSeq();
    const { broken } = file.transaction(() => {
      const totals = new QueueStatistics();
      const result = salvage(
        this.sqlite,
        old,
        (entry) => {
          if (removed(entry.seq)) return;
          file.insert([newPlaces ? { ...entry, seq: ++last } : entry]);
          last = Math.max(last, entry.seq);
          count++;
        },
        (entry) => {
          if (entry.seq <= deadUpTo) return;
          file.insertDead({ ...entry, seq: newPlaces ? ++last : entry.seq }, entry);
          totals.add(entry.queue, 0, 0, 1);
        },
      );
      totals.addTo(file);
      file.count(last);
      return result;
    });
    return { count, broken };
  }
}
