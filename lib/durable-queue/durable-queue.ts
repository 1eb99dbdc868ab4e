import type { Clock } from '../clock/clock.js';
import { loadSqlite } from '../clients/sqlite.js';
import { MessagingError } from '../errors/messaging-error.js';
import { RetryQueueStoreError } from '../errors/publish-errors.js';
import { errorMessage } from '../errors/redact.js';
import { Adoption } from './adoption.js';
import { type Destination, FileDestinations, type OtherFiles } from './destination.js';
import { EntryReader } from './entry-reader.js';
import { OwnFile } from './own-file.js';
import { type AppendDone, PendingChanges } from './pending-changes.js';
import { QueueDirectory } from './queue-directory.js';
import {
  type DeadEntry,
  type Death,
  type EntryProgress,
  type NewQueueEntry,
  type QueueEntry,
  type QueueTotals,
  moveTo,
} from './queue-entry.js';
import type { QueueFile } from './queue-file.js';
import type { QueueObserver } from './queue-observer.js';
import { QueueStorage } from './queue-storage.js';
import type { DueRange } from './ready-reader.js';

export interface DurableQueueOptions {
  /** The folder; made when it is missing. */
  readonly directory: string;
  /** What the folder's option is called, for errors. */
  readonly directoryOption: string;
  /** What needs the queue, for the error when SQLite is missing. */
  readonly neededBy: string;
  /** Milliseconds between two looks for files whose owner is dead. */
  readonly adoptInterval: number;
  /** Where entries are sent: files of processes that send elsewhere are left alone. */
  readonly destination: Destination;
}

/**
 * Queues of entries in one file per process, kept across its death. An append is on the disk when its callback is called;
 * what is appended in one turn of the event loop shares a transaction. Nothing of a waiting entry is kept in memory.
 *
 * The user takes entries through `ready` and says what became of each: `remove`, `update` (try again later) or `bury`.
 * What it has taken and not answered yet it has to remember itself. All methods but `open` are synchronous; none throws
 * when the disk fails: an append is told, everything else is remembered and written as soon as it can be.
 */
export class DurableQueue {
  private readonly pending = new PendingChanges();
  private readonly storage: QueueStorage;
  private readonly reader: EntryReader;
  private adoption: Adoption | undefined;
  private destinations: FileDestinations | undefined;
  private closed = false;

  constructor(
    private readonly options: DurableQueueOptions,
    private readonly clock: Clock,
    private readonly observer: QueueObserver,
  ) {
    this.storage = new QueueStorage(this.pending, clock, { observer, replaced: () => this.reader.reset() });
    this.reader = new EntryReader(this.pending, this.storage);
  }

  /**
   * Opens the own file, and adopts those of processes that died. A full or read-only disk does not fail it: appends are
   * refused then until the disk can be written.
   * @throws MissingPeerError, InvalidOptionError; RetryQueueStoreError when the folder cannot be made
   */
  async open(): Promise<void> {
    const sqlite = await loadSqlite(this.options.neededBy);
    if (this.closed) return;
    const directory = new QueueDirectory(this.options.directory, sqlite, this.options.directoryOption);
    try {
      directory.prepare();
    } catch (cause) {
      if (cause instanceof MessagingError) throw cause;
      throw new RetryQueueStoreError(`${directory.path} cannot be used: ${errorMessage(cause)}`, { cause });
    }
    const { log } = this.observer;
    const destinations = (this.destinations = new FileDestinations(sqlite, directory, this.options.destination, log));
    const own = new OwnFile(sqlite, directory, destinations, log);
    this.storage.open(own);
    this.adoption = new Adoption(directory, own, this.storage, destinations, this.clock, this.options.adoptInterval);
    this.adoption.start();
  }

  /** What a queue holds. */
  totals(queue: string): QueueTotals {
    return this.storage.statistics.of(queue);
  }

  /** Queues that hold something. */
  get queues(): string[] {
    return this.storage.statistics.names();
  }

  /** Entries of all queues. */
  get depth(): number {
    return this.storage.statistics.depth;
  }

  /** Entries taken over from processes that died, since the start. */
  get adopted(): number {
    return this.storage.adopted;
  }

  /** Files and rows that could not be read and were put aside, since the start. */
  get quarantined(): number {
    return this.storage.quarantined;
  }

  /** Files in the directory that others have to send, as they were at the last look. */
  get others(): readonly OtherFiles[] {
    return this.destinations?.others ?? [];
  }

  /** False while the disk cannot be written. */
  get healthy(): boolean {
    return this.storage.healthy;
  }

  /**
   * Takes an entry over and gives it its place; `done` is called once, when it is on the disk or cannot be written, unless it
   * is removed before.
   */
  append(entry: NewQueueEntry, done: AppendDone): QueueEntry {
    const kept = entry as QueueEntry;
    moveTo(kept, ++this.storage.lastSeq);
    this.storage.statistics.add(entry.queue, 1, entry.bytes);
    this.pending.append(kept, done);
    this.storage.schedule();
    return kept;
  }

  /** The entry is done with. Returns the entry of its lane that is due now, if it was the lane's first. */
  remove(entry: QueueEntry): QueueEntry | undefined {
    return this.leave(entry, undefined);
  }

  /** The entry is given up and kept among the dead. Returns as `remove` does. */
  bury(entry: QueueEntry, death: Death): QueueEntry | undefined {
    return this.leave(entry, death);
  }

  /** The entry has failed and waits on, keeping its place in its lane. Returns the entry as it is now. */
  update(entry: QueueEntry, progress: EntryProgress): QueueEntry {
    const updated = { ...entry, ...progress };
    this.pending.update(updated);
    this.reader.forget(entry.seq);
    this.storage.schedule();
    return updated;
  }

  /** The `done` of the entry was not called yet. */
  isUnwritten(entry: QueueEntry): boolean {
    return this.pending.isAppended(entry.seq);
  }

  /** Entries of this lane wait. */
  holds(queue: string, lane: string): boolean {
    if (this.totals(queue).depth === 0) return false;
    return this.pending.holds(queue, lane) || this.reader.laneHead(queue, lane) !== undefined;
  }

  /** The entry is on the disk, and none of its lane is before it. */
  isHead(entry: QueueEntry): boolean {
    return entry.lane === undefined || this.reader.laneHead(entry.queue, entry.lane)?.seq === entry.seq;
  }

  /** The first of each lane, in order, read page by page; `return()` ends it before its end. */
  ready(queue: string, range: DueRange): Iterator<QueueEntry> {
    // What left lately made others the first of their lanes.
    if (range.dueAfter === undefined || this.pending.hasUpdates) this.storage.commit();
    if (this.totals(queue).depth === 0 || !this.storage.trusted) return NOTHING;
    return this.reader.ready(queue, range, this.storage.lastSeq);
  }

  /** When the next entry falls due after this time. */
  nextDueAt(queue: string, after: number): number | undefined {
    if (this.pending.hasUpdates) this.storage.commit();
    return this.totals(queue).depth === 0 ? undefined : this.reader.nextDueAt(queue, after);
  }

  /** When the next time to live ends. */
  nextExpiry(queue: string): number | undefined {
    return this.totals(queue).depth === 0 ? undefined : this.reader.nextExpiry(queue);
  }

  /** Entries whose time to live has ended, the longest first; also those that were taken. */
  expired(queue: string, now: number, limit: number): QueueEntry[] {
    return this.totals(queue).depth === 0 ? [] : this.reader.expired(queue, now, limit);
  }

  /** When the oldest entry of those due was queued. */
  oldestQueuedAt(queue: string, now: number): number | undefined {
    return this.totals(queue).depth === 0 ? undefined : this.reader.oldestQueuedAt(queue, now);
  }

  /** Entries with this id that wait for their time, on the disk. */
  delayed(queue: string, id: string): QueueEntry[] {
    this.storage.commit();
    return this.reader.delayed(queue, id);
  }

  /** Whether an entry waits, is dead, or is neither. */
  find(seq: number): 'waiting' | 'gone' | DeadEntry {
    if (this.pending.isAppended(seq)) return 'waiting';
    this.storage.commit();
    return this.storage.read<'waiting' | 'gone' | DeadEntry>(
      'read',
      (file) => (file.contains(seq) ? 'waiting' : (file.dead(seq) ?? 'gone')),
      'waiting',
    );
  }

  /** Dead entries behind a place (0: from the first), in order. */
  deadAfter(queue: string, seq: number, limit: number): DeadEntry[] {
    this.storage.commit();
    return this.storage.read('read', (file) => file.deadAfter(queue, seq, limit), []);
  }

  /** Dead entries in the order of their deaths. */
  oldestDead(queue: string, limit: number): DeadEntry[] {
    this.storage.commit();
    return this.storage.read('read', (file) => file.oldestDead(queue, limit), []);
  }

  /** Deletes dead entries of a queue for good, in one transaction. Returns those that were there; none where the disk fails. */
  deleteDead<T extends { readonly seq: number }>(queue: string, dead: readonly T[]): T[] {
    const remove = (file: QueueFile): T[] =>
      file.transaction(() => {
        const gone = dead.filter(({ seq }) => file.deleteDead(seq));
        if (gone.length > 0) file.addTotals(queue, { depth: 0, bytes: 0, dead: -gone.length });
        return gone;
      });
    const gone = this.storage.read('delete', remove, []);
    if (gone.length > 0) this.storage.statistics.add(queue, 0, 0, -gone.length);
    return gone;
  }

  /** Writes what is pending now. True: everything is on the disk. */
  commit(): boolean {
    return this.storage.commit();
  }

  /** Writes what is pending and lets go of the file, which another process may adopt; an empty one is removed. */
  close(): void {
    this.closed = true;
    this.adoption?.stop();
    this.reader.reset();
    this.storage.close();
  }

  private leave(entry: QueueEntry, death: Death | undefined): QueueEntry | undefined {
    const first = entry.lane !== undefined && this.isHead(entry);
    this.storage.statistics.add(entry.queue, -1, -entry.bytes, death ? 1 : 0);
    const unwritten = this.pending.withdraw(entry);
    if (!unwritten || death) this.pending.remove(entry, death);
    this.reader.forget(entry.seq);
    this.storage.schedule();
    if (!first) return undefined;
    this.pending.setFront(entry);
    return this.reader.laneHead(entry.queue, entry.lane);
  }
}

const NOTHING: Iterator<QueueEntry> = { next: () => ({ done: true, value: undefined }) };
