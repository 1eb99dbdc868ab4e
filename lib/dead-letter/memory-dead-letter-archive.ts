import type { Clock } from '../clock/clock.js';
import type {
  ArchivedEntry,
  DeadLetterEntry,
  ArchiveQuery,
  DeadLetterArchive,
  DeadLetterArchiveFactory,
} from './dead-letter-archive.js';
import { readDeadLetter } from './dead-letter.js';

/** Keeps dead letters in this process, until it ends: for tests, and with the embedded broker. */
export function memoryDeadLetterArchive(): DeadLetterArchiveFactory {
  return { kind: 'memory', durable: false, create: ({ clock }) => new MemoryDeadLetterArchive(clock) };
}

interface ArchivedRow extends DeadLetterEntry {
  readonly seq: number;
  readonly archivedAt: number;
  allowRetry: boolean;
  token: string | undefined;
  /** By the monotonic clock. */
  claimedUntil: number;
}

class MemoryDeadLetterArchive implements DeadLetterArchive {
  private readonly rows = new Map<string, ArchivedRow>();
  private seq = 0;

  constructor(private readonly clock: Clock) {}

  async add(entries: readonly DeadLetterEntry[]): Promise<void> {
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
      if (row.seq > afterSeq && this.fits(row, query)) found.push(entryOf(row));
    }
    return found;
  }

  async count(query: ArchiveQuery = {}, afterSeq = 0): Promise<number> {
    let count = 0;
    for (const row of this.rows.values()) if (row.seq > afterSeq && this.fits(row, query)) count++;
    return count;
  }

  async lastSeq(): Promise<number> {
    return this.seq;
  }

  async allowRetry(keys: readonly string[], allow: boolean): Promise<number> {
    const rows = this.those(keys);
    for (const row of rows) row.allowRetry = allow;
    return rows.length;
  }

  async claim(keys: readonly string[], token: string, leaseMs: number): Promise<string[]> {
    const rows = this.those(keys).filter((row) => row.token === token || !this.isClaimed(row));
    for (const row of rows) {
      row.token = token;
      row.claimedUntil = this.clock.monotonic() + leaseMs;
    }
    return rows.map(({ key }) => key);
  }

  async release(keys: readonly string[], token: string, waitMs: number): Promise<number> {
    const rows = this.those(keys).filter((row) => row.token === token);
    for (const row of rows) {
      row.token = undefined;
      row.claimedUntil = this.clock.monotonic() + waitMs;
    }
    return rows.length;
  }

  async delete(keys: readonly string[], token?: string): Promise<number> {
    const rows = this.those(keys).filter((row) => (token === undefined ? !this.isClaimed(row) : row.token === token));
    for (const { key } of rows) this.rows.delete(key);
    return rows.length;
  }

  async close(): Promise<void> {}

  private isClaimed(row: ArchivedRow): boolean {
    return row.token !== undefined && this.isWaiting(row);
  }

  /** Until the lease is over, or the wait of an entry that was put off. */
  private isWaiting({ claimedUntil }: ArchivedRow): boolean {
    return claimedUntil > this.clock.monotonic();
  }

  private fits(row: ArchivedRow, query: ArchiveQuery): boolean {
    return fits(row, query) && (!query.due || (row.allowRetry && !this.isWaiting(row)));
  }

  private those(keys: readonly string[]): ArchivedRow[] {
    return [...new Set(keys)].flatMap((key) => this.rows.get(key) ?? []);
  }
}

function entryOf({ token: _token, claimedUntil: _until, ...entry }: ArchivedRow): ArchivedEntry {
  return entry;
}

function fits({ deadLetterQueue, message }: DeadLetterEntry, query: ArchiveQuery): boolean {
  const { ids, queues, reason, before, after } = query;
  if (queues && !queues.includes(deadLetterQueue)) return false;
  // Reading a message costs more than all else.
  if ([ids, reason, before, after].every((one) => one === undefined)) return true;
  const letter = readDeadLetter(message, deadLetterQueue);
  return (
    (!ids || ids.includes(letter.id)) &&
    (reason === undefined || letter.reason === reason) &&
    (before === undefined || (letter.time !== undefined && letter.time < before)) &&
    (after === undefined || (letter.time !== undefined && letter.time > after))
  );
}
