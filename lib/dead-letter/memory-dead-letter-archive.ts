import type { Clock } from '../clock/clock.js';
import type {
  ArchivedEntry,
  ArchiveEntry,
  ArchiveQuery,
  DeadLetterArchive,
  DeadLetterArchiveFactory,
} from './dead-letter-archive.js';
import { readDeadLetter } from './dead-letter.js';

/** Keeps dead letters in this process, until it ends: for tests, and with the embedded broker. */
export function memoryDeadLetterArchive(): DeadLetterArchiveFactory {
  return { kind: 'memory', durable: false, create: ({ clock }) => new MemoryDeadLetterArchive(clock) };
}

interface Row extends ArchiveEntry {
  readonly seq: number;
  readonly archivedAt: number;
  allowRetry: boolean;
  token: string | undefined;
  /** By the monotonic clock. */
  claimedUntil: number;
}

class MemoryDeadLetterArchive implements DeadLetterArchive {
  private readonly rows = new Map<string, Row>();
  private seq = 0;

  constructor(private readonly clock: Clock) {}

  async add(entries: readonly ArchiveEntry[]): Promise<void> {
    const archivedAt = this.clock.now();
    for (const { key, deadLetterQueue, message } of entries) {
      if (this.rows.has(key)) continue;
      const own = { allowRetry: false, token: undefined, claimedUntil: -Infinity };
      this.rows.set(key, { key, deadLetterQueue, message, seq: ++this.seq, archivedAt, ...own });
    }
  }

  async page(query: ArchiveQuery, afterSeq: number, limit: number): Promise<ArchivedEntry[]> {
    const found: ArchivedEntry[] = [];
    for (const row of this.rows.values()) {
      if (found.length >= limit) break;
      if (row.seq > afterSeq && fits(row, query)) found.push(entryOf(row));
    }
    return found;
  }

  async count(): Promise<number> {
    return this.rows.size;
  }

  async allowRetry(keys: readonly string[], allow: boolean): Promise<number> {
    const rows = this.those(keys);
    for (const row of rows) row.allowRetry = allow;
    return rows.length;
  }

  async claim(token: string, leaseMs: number, limit: number): Promise<ArchivedEntry[]> {
    const claimed: ArchivedEntry[] = [];
    for (const row of this.rows.values()) {
      if (claimed.length >= limit) break;
      if (!row.allowRetry || this.isTaken(row)) continue;
      row.token = token;
      row.claimedUntil = this.clock.monotonic() + leaseMs;
      claimed.push(entryOf(row));
    }
    return claimed;
  }

  async renew(token: string, leaseMs: number): Promise<void> {
    for (const row of this.rows.values()) if (row.token === token) row.claimedUntil = this.clock.monotonic() + leaseMs;
  }

  async remove(key: string, token: string): Promise<boolean> {
    return this.rows.get(key)?.token === token && this.rows.delete(key);
  }

  async release(key: string, token: string, waitMs: number): Promise<boolean> {
    const row = this.rows.get(key);
    if (row?.token !== token) return false;
    row.token = undefined;
    row.claimedUntil = this.clock.monotonic() + waitMs;
    return true;
  }

  async delete(keys: readonly string[]): Promise<number> {
    const rows = this.those(keys).filter((row) => row.token === undefined || !this.isTaken(row));
    for (const { key } of rows) this.rows.delete(key);
    return rows.length;
  }

  async close(): Promise<void> {}

  private isTaken({ claimedUntil }: Row): boolean {
    return claimedUntil > this.clock.monotonic();
  }

  private those(keys: readonly string[]): Row[] {
    return [...new Set(keys)].flatMap((key) => this.rows.get(key) ?? []);
  }
}

function entryOf({ token: _token, claimedUntil: _until, ...entry }: Row): ArchivedEntry {
  return entry;
}

function fits(
  { deadLetterQueue, message }: ArchiveEntry,
  { ids, queues, reason, before, after }: ArchiveQuery,
): boolean {
  const letter = readDeadLetter(message, deadLetterQueue);
  return (
    (!ids || ids.includes(letter.id)) &&
    (!queues || queues.includes(deadLetterQueue)) &&
    (reason === undefined || letter.reason === reason) &&
    (before === undefined || (letter.time !== undefined && letter.time < before)) &&
    (after === undefined || (letter.time !== undefined && letter.time > after))
  );
}
