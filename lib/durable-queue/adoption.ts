import type { CancelTimer, Clock } from '../clock/clock.js';
import { nextTurn } from '../clock/turn.js';
import { isDamage } from '../clients/sqlite.js';
import { AdoptionMarks } from './adoption-marks.js';
import type { FileDestinations } from './destination.js';
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
  /** The adopter that is noted in the file; undefined: nothing may be taken out of it yet. */
  adopter: string | undefined;
}

/**
 * Looks for files whose owner is dead and moves what they hold into the own file, batch by batch, one per turn of the event
 * loop: first written here, then deleted there. A crash between the two leaves a batch in both files; `AdoptionMarks` tells
 * whoever finds them that it is this one's.
 */
export class Adoption {
  private cancelTimer: CancelTimer | undefined;
  private stopped = false;
  private waiting: string[] = [];
  private orphan: Orphan | undefined;
  private readonly marks: AdoptionMarks;

  constructor(
    private readonly directory: QueueDirectory,
    private readonly own: OwnFile,
    private readonly storage: QueueStorage,
    private readonly destinations: FileDestinations,
    private readonly clock: Clock,
    private readonly interval: number,
  ) {
    this.marks = new AdoptionMarks(directory, own, storage);
  }

  /** Looks now and every interval. */
  start(): void {
    this.look();
  }

  stop(): void {
    this.stopped = true;
    this.cancelTimer?.();
    const { orphan } = this;
    // Each step ends with both files written: the mark has nothing to say, and would keep the own file from being removed.
    if (orphan && orphan.adopter === this.own.name)
      this.guard(() => this.storage.transaction((own) => own.adoptions.forget(orphan.owned.name)));
    this.letGo();
  }

  private look(): void {
    this.guard(() => void (this.own.file && this.marks.settle(this.own.file)));
    this.guard(() => {
      if (!this.own.file) return;
      this.directory.sweep();
      this.waiting = this.destinations.ours().filter((name) => name !== this.own.name);
    });
    this.guard(() => this.destinations.look());
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
      else this.advance(this.orphan);
    });
    this.go();
  }

  private advance(orphan: Orphan): void {
    // What came before it has the lower place, and must be there before it.
    this.storage.commit();
    try {
      if (!this.isOurs(orphan)) this.letGo();
      else if (!this.moveBatch(orphan)) this.finish(orphan);
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.orphan = undefined;
      orphan.file.close();
      this.salvage(orphan.owned, error);
    }
  }

  /** Nothing that goes wrong here is lost: it stays where it is until the next look. */
  private guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.waiting = [];
      this.letGo();
      this.storage.report('adopt', error);
    }
  }

  /** A damaged file goes into quarantine, and what can be read of it into the own one. */
  private salvage(owned: OwnedFile, error: unknown): void {
    try {
      this.own.salvageOrphan(owned, error);
    } catch (cause) {
      owned.lock.release();
      throw cause;
    }
    this.storage.lastSeq = Math.max(this.storage.lastSeq, this.own.file!.lastSeq());
    this.storage.recount();
    this.storage.report('adopt', error);
  }

  private nextOrphan(): Orphan | undefined {
    const owned = this.marks.claim(this.waiting.shift()!);
    if (typeof owned === 'string') return undefined;
    try {
      const file = this.own.openOrphan(owned);
      return file && { owned, file, adopter: undefined };
    } catch (error) {
      if (isDamage(error)) return void this.salvage(owned, error);
      owned.lock.release();
      throw error;
    }
  }

  /** False: another process that died while adopting the file has to be asked, and is owned: at a later look. */
  private isOurs(orphan: Orphan): boolean {
    const { owned, file, adopter } = orphan;
    // The own file has another name when it had to be replaced.
    if (adopter !== undefined && adopter === this.own.name) return true;
    this.marks.settle(file);
    if (!this.marks.takeFrom(file, owned.name)) return false;
    orphan.adopter = this.own.name;
    return true;
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
    this.storage.statistics.merge(totals);
    this.storage.tookOver(entries.length);
    this.deleteMoved(file, entries, dead, totals);
    return true;
  }

  private write(
    from: string,
    last: number,
    entries: readonly QueueEntry[],
    dead: readonly DeadEntry[],
  ): QueueStatistics {
    const totals = new QueueStatistics();
    this.storage.transaction((own) => {
      own.insert(entries.map((entry) => placed(entry, ++this.storage.lastSeq)));
      for (const { queue, bytes } of entries) totals.add(queue, 1, bytes);
      for (const entry of dead) {
        own.insertDead({ ...entry, seq: ++this.storage.lastSeq }, entry);
        own.addTotals(entry.queue, { depth: 0, bytes: 0, dead: 1 });
        totals.add(entry.queue, 0, 0, 1);
      }
      own.count(this.storage.lastSeq);
      own.adoptions.setMark({ file: from, entries: last, dead: dead.at(-1)?.seq ?? 0 });
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
    // Of use to whoever owns what this file was adopting: it stays until then.
    if (!this.marks.settle(file)) return this.letGo();
    this.orphan = undefined;
    const empty = file.isEmpty;
    file.close();
    if (empty) {
      this.directory.remove(owned);
    } else {
      this.own.setDamagedAside(owned);
    }
    this.storage.transaction((own) => own.adoptions.forget(owned.name));
  }

  private letGo(): void {
    this.orphan?.file.close();
    this.orphan?.owned.lock.release();
    this.orphan = undefined;
  }
}
