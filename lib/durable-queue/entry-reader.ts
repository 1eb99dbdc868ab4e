import type { PendingChanges } from './pending-changes.js';
import { HIGHEST_PRIORITY, LOWEST_PRIORITY, type QueueEntry, type StoredEntry } from './queue-entry.js';
import type { QueueFile, ReadyPosition } from './queue-file.js';
import { type DueRange, PAGE_BYTES, PAGE_ROWS, ReadyReader } from './ready-reader.js';

/** What reading needs of the storage. */
export interface ReaderPort {
  /** Runs `work` on the file; `otherwise` when there is none, or it cannot be read. */
  read<T>(operation: string, work: (file: QueueFile) => T, otherwise: T): T;
  /** These entries are not what was written. */
  setApart(damaged: readonly StoredEntry[]): void;
}

/** Reads entries as they are with all pending changes. What is not what was written is set apart, never returned. */
export class EntryReader {
  private readonly readers = new Set<ReadyReader>();

  constructor(
    private readonly pending: PendingChanges,
    private readonly port: ReaderPort,
  ) {}

  ready(queue: string, range: DueRange, lastSeq: number): ReadyReader {
    const reader = new ReadyReader(
      queue,
      range,
      lastSeq,
      (position, dueUntil) => this.page(position, dueUntil),
      (ended) => this.readers.delete(ended),
    );
    this.readers.add(reader);
    return reader;
  }

  /** The entry has left, or is not due any more: passes under way skip it. */
  forget(seq: number): void {
    for (const reader of this.readers) reader.forget(seq);
  }

  /** Ends all passes: their places are not valid any more. */
  reset(): void {
    for (const reader of this.readers) reader.return();
  }

  /** The first of a lane of those on the disk. */
  laneHead(queue: string, lane: string): QueueEntry | undefined {
    return this.first((file) => file.laneAfter(queue, lane, this.pending.front(queue, lane)));
  }

  nextDueAt(queue: string, after: number): number | undefined {
    return this.earliest((file, priority) => file.nextDueAt(queue, priority, after));
  }

  oldestQueuedAt(queue: string, now: number): number | undefined {
    return this.earliest((file, priority) => file.oldestQueuedAt(queue, priority, now));
  }

  nextExpiry(queue: string): number | undefined {
    return this.port.read('read', (file) => file.nextExpiry(queue), undefined);
  }

  expired(queue: string, now: number, limit: number): QueueEntry[] {
    return this.checked(this.port.read('read', (file) => file.expired(queue, now, limit), []));
  }

  delayed(queue: string, id: string): QueueEntry[] {
    return this.checked(this.port.read('read', (file) => file.delayedWithId(queue, id), []));
  }

  private page(position: ReadyPosition, dueUntil: number): QueueEntry[] {
    for (;;) {
      const page = this.port.read('read', (file) => bounded(file.ready(position, dueUntil, PAGE_ROWS)), []);
      const last = page.at(-1);
      if (!last) return [];
      const entries = this.checked(page);
      // A broken index may lead back to where it was.
      if (entries.length > 0 || last.dueAt < position.dueAt) return entries;
      position = { ...position, dueAt: last.dueAt, seq: last.seq };
    }
  }

  private first(stored: (file: QueueFile) => Iterable<StoredEntry>): QueueEntry | undefined {
    const damaged: StoredEntry[] = [];
    const entry = this.port.read(
      'read',
      (file) => {
        for (const found of stored(file)) {
          if (this.pending.isRemoved(found.seq)) continue;
          if (found.entry) return found.entry;
          damaged.push(found);
        }
        return undefined;
      },
      undefined,
    );
    if (damaged.length > 0) this.port.setApart(damaged);
    return entry && this.pending.current(entry);
  }

  private checked(stored: readonly StoredEntry[]): QueueEntry[] {
    const damaged: StoredEntry[] = [];
    const entries: QueueEntry[] = [];
    for (const found of stored) {
      const { seq, entry } = found;
      if (this.pending.isRemoved(seq)) continue;
      if (!entry) damaged.push(found);
      else if (this.pending.current(entry) === entry) entries.push(entry);
    }
    if (damaged.length > 0) this.port.setApart(damaged);
    return entries;
  }

  private earliest(read: (file: QueueFile, priority: number) => number | undefined): number | undefined {
    return this.port.read(
      'read',
      (file) => {
        let earliest: number | undefined;
        for (let priority = LOWEST_PRIORITY; priority <= HIGHEST_PRIORITY; priority++) {
          const at = read(file, priority);
          if (at !== undefined && (earliest === undefined || at < earliest)) earliest = at;
        }
        return earliest;
      },
      undefined,
    );
  }
}

function bounded(stored: Iterable<StoredEntry>): StoredEntry[] {
  const page: StoredEntry[] = [];
  let bytes = 0;
  for (const found of stored) {
    page.push(found);
    bytes += found.entry?.body.length ?? 0;
    if (bytes >= PAGE_BYTES) break;
  }
  return page;
}
