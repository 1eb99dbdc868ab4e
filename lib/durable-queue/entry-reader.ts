import type { SqliteRow } from '../clients/sqlite.js';
import type { PendingChanges } from './pending-changes.js';
import { HIGHEST_PRIORITY, LOWEST_PRIORITY, type QueueEntry } from './queue-entry.js';
import type { QueueFile, ReadyPosition } from './queue-file.js';
import { type DueRange, PAGE_BYTES, PAGE_ROWS, ReadyReader } from './ready-reader.js';
import { readEntry } from './row.js';

/** What reading needs of the storage. */
export interface ReaderPort {
  /** Runs `work` on the file; `otherwise` when there is none, or it cannot be read. */
  read<T>(operation: string, work: (file: QueueFile) => T, otherwise: T): T;
  /** These rows are not what was written. */
  setApart(rows: readonly SqliteRow[]): void;
}

/** Reads entries as they are with all pending changes. Rows that are not what was written are set apart, never returned. */
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

  /** It has left, or is not due any more: passes under way skip it. */
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
      const rows = this.port.read('read', (file) => bounded(file.ready(position, dueUntil, PAGE_ROWS)), []);
      const last = rows.at(-1);
      if (!last) return [];
      const entries = this.checked(rows);
      // A broken index may lead back to where it was.
      if (entries.length > 0 || (last.due_at as number) < position.dueAt) return entries;
      position = { ...position, dueAt: last.due_at as number, seq: last.seq as number };
    }
  }

  private first(rows: (file: QueueFile) => IterableIterator<SqliteRow>): QueueEntry | undefined {
    const damaged: SqliteRow[] = [];
    const entry = this.port.read(
      'read',
      (file) => {
        for (const row of rows(file)) {
          if (this.pending.isRemoved(row.seq as number)) continue;
          const found = readEntry(row);
          if (found) return found;
          damaged.push(row);
        }
        return undefined;
      },
      undefined,
    );
    if (damaged.length > 0) this.port.setApart(damaged);
    return entry && this.pending.current(entry);
  }

  private checked(rows: readonly SqliteRow[]): QueueEntry[] {
    const damaged: SqliteRow[] = [];
    const entries: QueueEntry[] = [];
    for (const row of rows) {
      if (this.pending.isRemoved(row.seq as number)) continue;
      const entry = readEntry(row);
      if (!entry) damaged.push(row);
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

function bounded(rows: IterableIterator<SqliteRow>): SqliteRow[] {
  const page: SqliteRow[] = [];
  let bytes = 0;
  for (const row of rows) {
    page.push(row);
    bytes += (row.body as Uint8Array | null)?.length ?? 0;
    if (bytes >= PAGE_BYTES) break;
  }
  return page;
}
