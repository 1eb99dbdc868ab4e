import { HIGHEST_PRIORITY, LOWEST_PRIORITY, type QueueEntry } from './queue-entry.js';
import type { ReadyPosition } from './queue-file.js';

/** So much is read ahead at most. */
export const PAGE_ROWS = 128;
export const PAGE_BYTES = 2 ** 20;

/** Which entries are wanted: those that fell due after `dueAfter` (default: all) and not after `dueUntil`. */
export interface DueRange {
  readonly dueAfter?: number;
  readonly dueUntil: number;
}

/** Reads the next page behind a position. */
export type ReadPage = (position: ReadyPosition, dueUntil: number) => QueueEntry[];

/**
 * One pass over the first of each lane: by priority, then by when they fell due, then by place. It reads page by page, sees
 * what was there when it began, and skips what leaves meanwhile.
 */
export class ReadyReader implements Iterator<QueueEntry> {
  private page = new Map<number, QueueEntry>();
  private position: ReadyPosition;
  private done = false;

  constructor(
    private readonly queue: string,
    private readonly range: DueRange,
    private readonly lastSeq: number,
    private readonly read: ReadPage,
    private readonly onEnd: (reader: ReadyReader) => void,
  ) {
    this.position = this.start(HIGHEST_PRIORITY);
  }

  next(): IteratorResult<QueueEntry> {
    while (!this.done) {
      for (const [seq, entry] of this.page) {
        this.page.delete(seq);
        if (seq <= this.lastSeq) return { done: false, value: entry };
      }
      this.turnPage();
    }
    return { done: true, value: undefined };
  }

  return(): IteratorResult<QueueEntry> {
    this.end();
    return { done: true, value: undefined };
  }

  /** The entry has left, or is not due any more. */
  forget(seq: number): void {
    this.page.delete(seq);
  }

  private turnPage(): void {
    const entries = this.read(this.position, this.range.dueUntil);
    const last = entries.at(-1);
    if (last) {
      this.position = { ...this.position, dueAt: last.dueAt, seq: last.seq };
      this.page = new Map(entries.map((entry) => [entry.seq, entry]));
    } else if (this.position.priority > LOWEST_PRIORITY) {
      this.position = this.start(this.position.priority - 1);
    } else {
      this.end();
    }
  }

  private start(priority: number): ReadyPosition {
    const { dueAfter } = this.range;
    // Everything of `dueAfter` itself was seen.
    const from = dueAfter === undefined ? { dueAt: -1, seq: 0 } : { dueAt: dueAfter, seq: Number.MAX_SAFE_INTEGER };
    return { queue: this.queue, priority, ...from };
  }

  private end(): void {
    if (this.done) return;
    this.done = true;
    this.page.clear();
    this.onEnd(this);
  }
}
