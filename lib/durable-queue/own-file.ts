import { errorMessage } from '../errors/redact.js';
import { isDamage, type Sqlite } from '../clients/sqlite.js';
import type { OwnedFile, QueueDirectory } from './queue-directory.js';
import { QueueFile } from './queue-file.js';
import type { QueueLog } from './queue-observer.js';
import { QueueStatistics } from './queue-statistics.js';
import { salvage } from './salvage.js';
import { ForeignFileError } from './schema.js';

/** The one file that this process writes: how it comes to have it, and what happens when it breaks. */
export class OwnFile {
  private owned: OwnedFile | undefined;
  private opened: QueueFile | undefined;
  /** Files that were moved out of the way. */
  quarantined = 0;

  constructor(
    private readonly sqlite: Sqlite,
    private readonly directory: QueueDirectory,
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
    for (const { path, error } of broken) this.refill(file, path, error, () => false, true);
    return file;
  }

  /** Opens another one's file; undefined when it had to be put into quarantine. It stays locked. */
  openOrphan(owned: OwnedFile): QueueFile | undefined {
    try {
      return QueueFile.open(this.sqlite, owned.path);
    } catch (error) {
      if (!isDamage(error) && !(error instanceof ForeignFileError)) throw error;
      this.setAside(owned, error, isDamage(error) ? this.opened : undefined);
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
    const next = this.directory.create();
    let file: QueueFile | undefined;
    try {
      file = QueueFile.open(this.sqlite, next.path);
      this.refill(file, old, error, removed);
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
    this.setAside(owned, 'rows in it are not what was written', undefined);
  }

  /** Puts what can be read of a damaged file into the own one, at new places. */
  salvageOrphan(owned: OwnedFile, error: unknown): void {
    this.setAside(owned, error, this.opened);
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
    for (const name of this.directory.names()) {
      const owned = this.directory.claim(name);
      const file = owned && this.openOwned(owned, onBroken);
      if (file) return file;
    }
    const owned = this.directory.create();
    const file = this.openOwned(owned, onBroken);
    if (!file) throw new Error(`${owned.path} cannot be opened`);
    return file;
  }

  private openOwned(owned: OwnedFile, onBroken: (path: string, error: unknown) => void): QueueFile | undefined {
    try {
      this.opened = QueueFile.open(this.sqlite, owned.path);
      this.owned = owned;
      return this.opened;
    } catch (error) {
      if (isDamage(error)) {
        onBroken(this.directory.quarantine(owned), error);
        owned.lock.remove();
      } else if (error instanceof ForeignFileError) {
        this.setAside(owned, error, undefined);
      } else {
        owned.lock.release();
        throw error;
      }
      return undefined;
    }
  }

  private setAside(owned: OwnedFile, error: unknown, into: QueueFile | undefined): void {
    const target = this.directory.quarantine(owned);
    owned.lock.remove();
    if (into) return this.refill(into, target, error, () => false, true);
    this.quarantined++;
    this.log.error(
      `A file that cannot be read was moved to ${target} and nothing of it is sent: ${errorMessage(error)}`,
    );
  }

  private refill(
    file: QueueFile,
    old: string,
    error: unknown,
    removed: (seq: number) => boolean,
    newPlaces = false,
  ): void {
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
          file.insertDead({ ...entry, seq: newPlaces ? ++last : entry.seq }, entry);
          totals.add(entry.queue, 0, 0, 1);
        },
      );
      totals.addTo(file);
      file.count(last);
      return result;
    });
    this.quarantined++;
    this.log.error(
      `A damaged file was moved to ${old}; ${count} messages were read out of it, ${broken} places were not readable: ${errorMessage(error)}`,
    );
  }
}
