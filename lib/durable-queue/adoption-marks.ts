import { isDamage } from '../clients/sqlite.js';
import type { AdoptedPlaces } from './adoption-table.js';
import type { OwnFile } from './own-file.js';
import type { OwnedFile, QueueDirectory } from './queue-directory.js';
import type { QueueFile } from './queue-file.js';
import type { QueueStorage } from './queue-storage.js';

/** What became of looking at another file. */
type Seen = 'done' | 'gone' | 'owned';

/**
 * When an adopter died between the two files a batch was in, the adopter has it. Its mark, written with the batch, says
 * what of the adopted file is not to be used any more, and that file names its adopter, so that whoever owns it next asks
 * there first. Nobody who has the adopted file goes on without an answer; who has the adopter's may.
 */
export class AdoptionMarks {
  constructor(
    private readonly directory: QueueDirectory,
    private readonly own: OwnFile,
    private readonly storage: QueueStorage,
  ) {}

  /** The file of that name, unless it is owned or gone. */
  claim(name: string): OwnedFile | 'gone' | 'owned' {
    if (!this.directory.has(name)) return 'gone';
    const owned = this.directory.claim(name);
    if (!owned) return 'owned';
    if (this.directory.has(name)) return owned;
    owned.lock.remove();
    return 'gone';
  }

  /**
   * What a file has adopted is deleted where it came from. False: not yet everywhere, because somebody owns one of those
   * files; until then this one must not go.
   */
  settle(file: QueueFile): boolean {
    let settled = true;
    for (const mark of file.adoptions.marks()) {
      if (this.discardAt(mark)) file.transaction(() => file.adoptions.forget(mark.file));
      else settled = false;
    }
    return settled;
  }

  /** Takes away what the last adopter of a file has of it, and makes the own file its adopter. False: that one is owned. */
  takeFrom(file: QueueFile, name: string): boolean {
    const adopter = file.adoptions.adopter();
    const { name: ownName, file: own } = this.own;
    if (!own || ownName === undefined) return false;
    let mark: AdoptedPlaces | undefined;
    if (adopter === ownName) {
      mark = own.adoptions.mark(name);
    } else if (adopter !== undefined) {
      const seen = this.look(adopter, (other) => (mark = other.adoptions.mark(name)));
      if (seen === 'owned') return false;
    }
    if (adopter !== ownName || mark) {
      file.transaction(() => {
        if (mark) file.discardUpTo(mark.entries, mark.dead);
        file.adoptions.setAdopter(ownName);
      });
    }
    return true;
  }

  /** False: somebody owns the file. */
  private discardAt({ file: name, entries, dead }: AdoptedPlaces): boolean {
    if (name === this.own.name) {
      this.storage.transaction((own) => own.discardUpTo(entries, dead));
      this.storage.recount();
      return true;
    }
    return this.look(name, (file) => file.transaction(() => file.discardUpTo(entries, dead))) !== 'owned';
  }

  private look(name: string, work: (file: QueueFile) => void): Seen {
    const owned = this.claim(name);
    if (typeof owned === 'string') return owned;
    let file: QueueFile | undefined;
    try {
      file = this.own.openOrphan(owned);
      // In quarantine, with its lock.
      if (!file) return 'gone';
      work(file);
    } catch (error) {
      file?.close();
      owned.lock.release();
      // The file is repaired when it is adopted itself.
      if (isDamage(error)) return 'owned';
      throw error;
    }
    file.close();
    owned.lock.release();
    return 'done';
  }
}
