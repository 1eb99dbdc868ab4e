import type { SqliteRow, SqliteValue } from '../clients/sqlite.js';
import { PackReader } from './pack.js';
import type { StoredEntry } from './queue-entry.js';
import { bytesOf } from './row.js';

/** How many entries left the file, and what they counted for. */
export interface Leaving {
  readonly count: number;
  readonly bytes: number;
}

/** A pack as it is in its file, with what has left it. */
export class StoredPack {
  readonly last: number;
  readonly first: number;
  readonly queue: string;
  /** A bit for each entry that has left. */
  readonly gone: Buffer;
  /** How many entries are left, and what they count for. */
  left: number;
  bytes: number;
  private readonly reader: PackReader;

  constructor(row: SqliteRow, data: SqliteValue | undefined) {
    this.last = row.last as number;
    this.first = row.first as number;
    this.queue = row.queue as string;
    this.left = row.remaining as number;
    this.bytes = row.bytes as number;
    this.gone = Buffer.from(bytesOf(row.gone as Uint8Array));
    this.reader = new PackReader(packBytes(data));
  }

  /** What is left behind a place, in order. */
  *after(seq: number): Generator<StoredEntry> {
    const { reader, queue, bytes, last } = this;
    // One damaged entry stands for all, so that somebody notices.
    if (!reader.isWhole && this.left > 0) yield { seq: last, queue, bytes, dueAt: 0, entry: undefined };
    for (let at = seq < this.first ? 0 : Math.max(0, reader.indexOf(seq)); at < reader.count; at++) {
      if (this.isGone(at)) continue;
      const stored = reader.entryAt(at);
      if (stored.seq > seq) yield stored;
    }
  }

  has(seq: number): boolean {
    const at = this.reader.indexOf(seq);
    return at >= 0 && !this.isGone(at);
  }

  /** False when the entry is not there. */
  remove(seq: number): boolean {
    const at = this.reader.indexOf(seq);
    if (at < 0 || this.isGone(at)) return false;
    this.gone[at >> 3] |= 1 << (at & 7);
    this.left--;
    this.bytes -= this.reader.bytesAt(at);
    return true;
  }

  /** Removes what is not what was written: the entry, or all when the table is broken. */
  removeDamaged(seq: number): Leaving | undefined {
    const { left, bytes } = this;
    if (!this.reader.isWhole) this.left = this.bytes = 0;
    else this.remove(seq);
    return this.left === left ? undefined : { count: left - this.left, bytes: bytes - this.bytes };
  }

  private isGone(at: number): boolean {
    return ((this.gone[at >> 3] >> (at & 7)) & 1) === 1;
  }
}

/** The bytes of a pack; none where its row has lost them, which no reader takes for whole. */
export function packBytes(data: SqliteValue | undefined): Buffer {
  return data instanceof Uint8Array ? bytesOf(data) : Buffer.alloc(0);
}
