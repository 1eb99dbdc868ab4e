import { crc32 } from 'node:zlib';
import { isPlain, type QueueEntry, type StoredEntry } from './queue-entry.js';

/** So many entries are in a pack at most: as many can be lost with one broken page. */
const MOST_ENTRIES = 32;
/** Fewer are written as rows of their own. */
const FEWEST_ENTRIES = 4;
/** A larger entry is written as a row of its own. */
const MAX_ENTRY_BYTES = 16 * 2 ** 10;

/*
 * Format, little-endian: u32 number of entries, u32 checksum of what follows up to the end of the name; f64 first place; u32
 * length of the queue's name; per entry u32 place (less the first place), f64 time it was queued, u32 bytes it counts for, u32 lengths of
 * its id, its meta and its body, u32 checksum of these three; the queue's name; and id, meta and body of each entry.
 */
const HEAD_BYTES = 20;
const ENTRY_BYTES = 32;

/**
 * Entries of one queue that wait for nothing, written together: a row and an index entry for each would take most of the
 * time that an append takes.
 */
export interface Pack {
  /** The place of its first entry. */
  readonly first: number;
  /** The place of its last entry. */
  readonly last: number;
  readonly queue: string;
  readonly count: number;
  /** When the first entry was queued. */
  readonly queuedAt: number;
  /** What the entries of the pack count for together. */
  readonly bytes: number;
  readonly data: Buffer;
}

/** Splits entries into runs that are worth a pack and those that are not, in order. */
export function runs(entries: readonly QueueEntry[]): {
  readonly packed: QueueEntry[][];
  readonly single: QueueEntry[];
} {
  const packed: QueueEntry[][] = [];
  const single: QueueEntry[] = [];
  let run: QueueEntry[] = [];
  const end = (): void => {
    if (run.length >= FEWEST_ENTRIES) packed.push(run);
    else single.push(...run);
    run = [];
  };
  for (const entry of entries) {
    if (!isPlain(entry) || entry.body.length + entry.meta.length > MAX_ENTRY_BYTES) {
      single.push(entry);
      continue;
    }
    // Places of packs must not overlap: one is over when another queue's turn comes.
    if (run.length === MOST_ENTRIES || (run.length > 0 && run[0].queue !== entry.queue)) end();
    run.push(entry);
  }
  end();
  return { packed, single };
}

/** Makes packs, one after the other in the same memory. */
export class Packer {
  private memory = Buffer.allocUnsafeSlow(2 ** 16);

  /** The `data` of the pack are valid until the next call. */
  pack(entries: readonly QueueEntry[]): Pack {
    const { seq: first, queue, queuedAt } = entries[0];
    const count = entries.length;
    const tableEnd = HEAD_BYTES + count * ENTRY_BYTES;
    let room = tableEnd + 3 * queue.length;
    // Three bytes of UTF-8 at most for each unit of UTF-16.
    for (const { id, meta, body } of entries) room += 3 * (id.length + meta.length) + body.length;
    if (room > this.memory.length) this.memory = Buffer.allocUnsafeSlow(room);
    const data = this.memory;
    let at = tableEnd + data.write(queue, tableEnd);
    const nameEnd = at;
    data.writeDoubleLE(first, 8);
    data.writeUInt32LE(nameEnd - tableEnd, 16);
    let bytes = 0;
    let cell = HEAD_BYTES;
    for (const entry of entries) {
      const begin = at;
      const idEnd = begin + data.write(entry.id, begin);
      const metaEnd = idEnd + data.write(entry.meta, idEnd);
      at = metaEnd + entry.body.copy(data, metaEnd);
      data.writeUInt32LE(entry.seq - first, cell);
      data.writeDoubleLE(entry.queuedAt, cell + 4);
      data.writeUInt32LE(entry.bytes, cell + 12);
      data.writeUInt32LE(idEnd - begin, cell + 16);
      data.writeUInt32LE(metaEnd - idEnd, cell + 20);
      data.writeUInt32LE(at - metaEnd, cell + 24);
      data.writeUInt32LE(crc32(data.subarray(begin, at)), cell + 28);
      bytes += entry.bytes;
      cell += ENTRY_BYTES;
    }
    data.writeUInt32LE(count, 0);
    data.writeUInt32LE(crc32(data.subarray(8, nameEnd)), 4);
    return { first, last: entries[count - 1].seq, queue, count, queuedAt, bytes, data: data.subarray(0, at) };
  }
}

/** Reads a pack, entry by entry: nothing is decoded that is not asked for. */
export class PackReader {
  /** False: the table of the pack is not what was written, and nothing can be read. */
  readonly isWhole: boolean;
  /** How many entries were written; 0 when the pack is not whole. */
  readonly count: number;
  private readonly first: number;
  private readonly queue: string;
  /** Where the entries begin, one after the other, and where the last one ends. */
  private readonly begins: number[] = [];

  constructor(private readonly data: Buffer) {
    const count = data.length < HEAD_BYTES ? Infinity : data.readUInt32LE(0);
    const tableEnd = HEAD_BYTES + count * ENTRY_BYTES;
    const nameEnd = tableEnd > data.length ? Infinity : tableEnd + data.readUInt32LE(16);
    this.isWhole = nameEnd <= data.length && crc32(data.subarray(8, nameEnd)) === data.readUInt32LE(4);
    this.count = this.isWhole ? count : 0;
    this.first = this.isWhole ? data.readDoubleLE(8) : 0;
    this.queue = this.isWhole ? data.toString('utf8', tableEnd, nameEnd) : '';
    if (this.isWhole) this.begins.push(nameEnd);
  }

  /** Which entry is at a place; -1 when none is. */
  indexOf(seq: number): number {
    // Most have their places side by side.
    const guess = seq - this.first;
    if (guess < 0) return -1;
    if (guess < this.count && this.seqAt(guess) === seq) return guess;
    for (let at = Math.min(guess, this.count) - 1; at >= 0; at--) if (this.seqAt(at) === seq) return at;
    return -1;
  }

  bytesAt(at: number): number {
    return this.data.readUInt32LE(cell(at) + 12);
  }

  entryAt(at: number): StoredEntry {
    const { data, queue } = this;
    const seq = this.seqAt(at);
    const bytes = this.bytesAt(at);
    const begin = this.beginOf(at);
    const idEnd = begin + data.readUInt32LE(cell(at) + 16);
    const metaEnd = idEnd + data.readUInt32LE(cell(at) + 20);
    const end = metaEnd + data.readUInt32LE(cell(at) + 24);
    if (end > data.length || crc32(data.subarray(begin, end)) !== data.readUInt32LE(cell(at) + 28))
      return { seq, queue, bytes, dueAt: 0, entry: undefined };
    const entry: QueueEntry = {
      seq,
      queue,
      id: data.toString('utf8', begin, idEnd),
      lane: undefined,
      priority: 0,
      dueAt: 0,
      expiresAt: undefined,
      queuedAt: data.readDoubleLE(cell(at) + 4),
      attempts: 0,
      returns: 0,
      bytes,
      meta: data.toString('utf8', idEnd, metaEnd),
      body: data.subarray(metaEnd, end),
    };
    return { seq, queue, bytes, dueAt: 0, entry };
  }

  private seqAt(at: number): number {
    return this.first + this.data.readUInt32LE(cell(at));
  }

  private beginOf(at: number): number {
    const { begins, data } = this;
    for (let known = begins.length - 1; known < at; known++) {
      const table = cell(known);
      const length = data.readUInt32LE(table + 16) + data.readUInt32LE(table + 20) + data.readUInt32LE(table + 24);
      begins.push(begins[known] + length);
    }
    return begins[at];
  }
}

function cell(at: number): number {
  return HEAD_BYTES + at * ENTRY_BYTES;
}
