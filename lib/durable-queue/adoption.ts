import type { CancelTimer, Clock } from '../clock/clock.js';
import { nextTurn } from '../clock/turn.js';
import { isDamage } from '../clients/sqlite.js';
import type { OwnFile } from './own-file.js';
import type { OwnedFile, QueueDirectory } from './queue-directory.js';
import { type DeadEntry, type QueueEntry, type StoredEntry, placed } from './queue-entry.js';
import type { QueueFile } from './queue-file.js';
import { QueueStatistics } from './queue-statistics.js';
import type { QueueStorage } from './queue-storage.js';
import { PAGE_BYTES, PAGE_ROWS } from './ready-reader.js';

interface Orphan {
  readonly owned: OwnedFile;
  readonly file: QueueFile;
}

/**
 * Looks for files whose owner is dead and moves what they hold into the own file, batch by batch, one per turn of the event
 * loop: first written here, then deleted there. A crash between the two is seen by the mark that each batch leaves here, so
 * that whoever finds both files takes the batch once.
 */
export class Adoption {
  private cancelTimer: CancelTimer | undefined;
  private stopped = false;
  private waiting: string[] = [];
  private orphan: Orphan | undefined;

  constructor(
    private readonly directory: QueueDirectory,
    private readonly own: OwnFile,
    private readonly storage: QueueStorage,
    private readonly clock: Clock,
    private readonly interval: number,
  ) {}

  /** Looks now and every interval. */
  start(): void {
    this.settleMarks();
    this.look();
  }

  stop(): void {
    this.stopped = true;
    this.cancelTimer?.();
    this.letGo();
  }

  private look(): void {
    this.guard(() => {
      if (!this.own.file) return;
      this.directory.sweep();
      this.waiting = this.directory.names().filter((name) => name !== this.own.name);
    });
    this.go();
  }

  private go(): void {
    if (this.stopped) return;
    if (this.orphan || this.waiting.length > 0) return nextTurn(() => this.step());
    this.cancelTimer = this.clock.after(this.interval, () => this.look(), { background: true });
  }

  private step(): void {
    if (this.stopped) return;
    this.guard(() => {
      if (!this.orphan) this.orphan = this.nextOrphan();
      else if (!this.moveBatch(this.orphan)) this.finish(this.orphan);
    });
    this.go();
  }

  /** Nothing that goes wrong here is lost: it stays where it is until the next look. */
  private guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      const { orphan } = this;
      this.waiting = [];
      if (orphan && isDamage(error) && this.own.file) {
        this.orphan = undefined;
        orphan.file.close();
        this.storage.commit();
        this.own.salvageOrphan(orphan.owned, error);
        this.storage.lastSeq = Math.max(this.storage.lastSeq, this.own.file.lastSeq());
        this.storage.recount();
        this.storage.report('adopt', error);
      } else {
        this.letGo();
        this.storage.report('adopt', error);
      }
    }
  }

  private nextOrphan(): Orphan | undefined {
    const owned = this.directory.claim(this.waiting.shift()!);
    if (!owned) return undefined;
    if (!this.directory.has(owned.name)) {
      owned.lock.remove();
      return undefined;
    }
    let file: QueueFile | undefined;
    try {
      file = this.own.openOrphan(owned);
    } catch (error) {
      owned.lock.release();
      throw error;
    }
    if (!file) return undefined;
    this.applyMarks(file);
    return { owned, file };
  }

  /** False: nothing is left to be moved. */
  private moveBatch({ owned, file }: Orphan): boolean {
    const damaged: StoredEntry[] = [];
    const entries: QueueEntry[] = [];
    let last = 0;
    let bytes = 0;
    for (const stored of file.entries(PAGE_ROWS)) {
      last = stored.seq;
      if (stored.entry) entries.push(stored.entry);
      else damaged.push(stored);
      bytes += stored.entry?.body.length ?? 0;
      if (bytes >= PAGE_BYTES) break;
    }
    if (damaged.length > 0) {
      file.transaction(() => {
        file.count();
        for (const stored of damaged) this.storage.setApartCount += file.setApart(stored).count;
      });
    }
    const dead = last === 0 ? file.deadAfter(undefined, 0, PAGE_ROWS) : [];
    if (last === 0 && dead.length === 0) return false;
    const totals = this.write(owned.name, last, entries, dead);
    this.deleteMoved(file, entries, dead, totals);
    this.storage.statistics.merge(totals);
    this.storage.tookOver(entries.length);
    return true;
  }

  private write(
    from: string,
    last: number,
    entries: readonly QueueEntry[],
    dead: readonly DeadEntry[],
  ): QueueStatistics {
    const totals = new QueueStatistics();
    // What came before it has the lower place, and must be there before it.
    this.storage.commit();
    this.storage.transaction((own) => {
      own.insert(entries.map((entry) => placed(entry, ++this.storage.lastSeq)));
      for (const { queue, bytes } of entries) totals.add(queue, 1, bytes);
      for (const entry of dead) {
        own.insertDead({ ...entry, seq: ++this.storage.lastSeq }, entry);
        own.addTotals(entry.queue, { depth: 0, bytes: 0, dead: 1 });
        totals.add(entry.queue, 0, 0, 1);
      }
      own.count(this.storage.lastSeq);
      if (last > 0) own.setAdopted(from, last);
    });
    return totals;
  }

  private deleteMoved(
    file: QueueFile,
    entries: readonly QueueEntry[],
    dead: readonly DeadEntry[],
    totals: QueueStatistics,
  ): void {
    file.transaction(() => {
      file.count();
      for (const { seq } of entries) file.delete(seq);
      for (const { seq } of dead) file.deleteDead(seq);
      for (const { queue, lane } of entries) if (lane !== undefined) file.promote(queue, lane);
      for (const queue of totals.names()) {
        const { depth, bytes, dead: count } = totals.of(queue);
        file.addTotals(queue, { depth: -depth, bytes: -bytes, dead: -count });
      }
    });
  }

  private finish({ owned, file }: Orphan): void {
    this.orphan = undefined;
    const empty = file.isEmpty;
    file.close();
    if (empty) {
      this.directory.remove(owned);
    } else {
      this.own.setDamagedAside(owned);
    }
    this.storage.transaction((own) => own.forgetAdoption(owned.name));
  }

  /** The own file may have been in the middle of an adoption when its last owner died. */
  private settleMarks(): void {
    this.guard(() => {
      const { file } = this.own;
      if (!file) return;
      for (const { file: name } of this.applyMarks(file)) {
        if (!this.directory.has(name)) this.storage.transaction((own) => own.forgetAdoption(name));
      }
    });
  }

  /** What this file has adopted is deleted where it came from. */
  private applyMarks(file: QueueFile): { readonly file: string }[] {
    const marks = file.adoptions();
    for (const { file: name, upto } of marks) {
      if (name === this.own.name) {
        this.storage.transaction((own) => own.discardUpTo(upto));
        this.storage.recount();
        continue;
      }
      const owned = this.directory.has(name) ? this.directory.claim(name) : undefined;
      if (!owned) continue;
      const origin = this.own.openOrphan(owned);
      if (!origin) continue;
      origin.transaction(() => origin.discardUpTo(upto));
      origin.close();
      owned.lock.release();
    }
    return marks;
  }

  private letGo(): void {
    this.orphan?.file.close();
    this.orphan?.owned.lock.release();
    this.orphan = undefined;
  }
}
