import { KeyLanes } from './key-lanes.js';
import { MemoryDeadLetters } from './memory-dead-letters.js';
import type { Death, PublisherDeadLetter, PublisherDeadLetters } from './publisher-dead-letters.js';
import type {
  Appended,
  Progress,
  QueuedMessage,
  RetryQueueStore,
  RetryQueueStoreEnvironment,
  RetryQueueStoreFactory,
  StoredMessage,
} from './retry-queue-store.js';

const MAX_PUBLISHER_DEAD_LETTERS = 1_000;
const HIGHEST_PRIORITY = 9;

/** Keeps the publisher retry queue in the process's memory: fast, and gone with the process. The default. */
export function memoryRetryQueue(): RetryQueueStoreFactory {
  return { kind: 'memory', create: (environment) => new MemoryRetryQueueStore(environment) };
}

/** The same object from its append to its end; what changes is changed in place. */
type WaitingEntry = { -readonly [K in keyof StoredMessage]: StoredMessage[K] };

class MemoryRetryQueueStore implements RetryQueueStore {
  readonly kind = 'memory';
  bytes = 0;
  private readonly entries = new Map<number, WaitingEntry>();
  /** The entries that are due, by priority. */
  private readonly due = Array.from({ length: HIGHEST_PRIORITY + 1 }, () => new Set<WaitingEntry>());
  /** The entries that wait for their time, the next one last. */
  private readonly waiting: WaitingEntry[] = [];
  private readonly lanes = new KeyLanes<WaitingEntry>();
  private readonly letters: MemoryDeadLetters;
  private lastSeq = 0;
  private expiring = 0;

  constructor({ log }: RetryQueueStoreEnvironment) {
    this.letters = new MemoryDeadLetters(MAX_PUBLISHER_DEAD_LETTERS, ({ message }) =>
      log.error(
        `The publisher holds more than ${MAX_PUBLISHER_DEAD_LETTERS} dead letters; the oldest, message ${message.id}, is dropped`,
      ),
    );
  }

  get depth(): number {
    return this.entries.size;
  }

  get volatileDepth(): number {
    return this.entries.size;
  }

  get deadLetters(): PublisherDeadLetters {
    return this.letters;
  }

  async open(): Promise<void> {}

  append(message: QueuedMessage, appended: Appended): StoredMessage {
    const entry: WaitingEntry = { ...message, seq: ++this.lastSeq };
    this.entries.set(entry.seq, entry);
    this.lanes.push(entry);
    this.bytes += entry.bytes;
    if (entry.expiresAt !== undefined) this.expiring++;
    this.place(entry);
    appended(entry);
    return entry;
  }

  remove({ seq }: StoredMessage): StoredMessage | undefined {
    const entry = this.entries.get(seq);
    if (!entry) return undefined;
    this.entries.delete(seq);
    this.bytes -= entry.bytes;
    if (entry.expiresAt !== undefined) this.expiring--;
    this.displace(entry);
    return this.lanes.remove(entry);
  }

  bury(stored: StoredMessage, death: Death): StoredMessage | undefined {
    const { seq, message, to, attempts } = stored;
    this.letters.add({ ...death, seq, message, to, attempts });
    return this.remove(stored);
  }

  update(stored: StoredMessage, progress: Progress): StoredMessage {
    const entry = this.entries.get(stored.seq);
    if (!entry) return stored;
    const { dueAt } = entry;
    if (progress.dueAt !== dueAt) this.displace(entry);
    Object.assign(entry, progress);
    if (progress.dueAt !== dueAt) this.place(entry);
    return entry;
  }

  holds(key: string): boolean {
    return this.lanes.has(key);
  }

  isFirst({ seq }: StoredMessage): boolean {
    const entry = this.entries.get(seq);
    return entry !== undefined && this.lanes.isHead(entry);
  }

  ready(dueUntil: number, dueAfter?: number): Iterator<StoredMessage> {
    const fallen = this.fallDue(dueUntil);
    return dueAfter === undefined ? this.allDue(this.lastSeq) : this.still(fallen);
  }

  nextDueAt(after: number): number | undefined {
    if (after < 0 && this.due.some(({ size }) => size > 0)) return 0;
    for (let at = this.waiting.length - 1; at >= 0; at--) {
      const entry = this.waiting[at];
      if (entry.dueAt > after && this.lanes.isHead(entry)) return entry.dueAt;
    }
    return undefined;
  }

  nextExpiry(): number | undefined {
    if (this.expiring === 0) return undefined;
    let next: number | undefined;
    for (const { expiresAt } of this.entries.values())
      if (expiresAt !== undefined && (next === undefined || expiresAt < next)) next = expiresAt;
    return next;
  }

  expired(now: number, limit: number): StoredMessage[] {
    const expired: StoredMessage[] = [];
    if (this.expiring === 0) return expired;
    for (const entry of this.entries.values()) {
      if (entry.expiresAt !== undefined && entry.expiresAt <= now) expired.push(entry);
      if (expired.length === limit) break;
    }
    return expired;
  }

  oldestQueuedAt(now: number): number | undefined {
    for (const { dueAt, queuedAt } of this.entries.values()) if (dueAt <= now) return queuedAt;
    return undefined;
  }

  delayed(id: string): StoredMessage[] {
    return this.waiting.filter(({ message }) => message.id === id);
  }

  find(seq: number): 'waiting' | 'gone' | PublisherDeadLetter {
    return this.entries.has(seq) ? 'waiting' : (this.letters.find(seq) ?? 'gone');
  }

  flush(): void {}

  close(): StoredMessage[] {
    return [...this.entries.values()];
  }

  private *allDue(last: number): Generator<StoredMessage> {
    for (let priority = HIGHEST_PRIORITY; priority >= 0; priority--) {
      for (const entry of this.due[priority]) if (entry.seq <= last && this.lanes.isHead(entry)) yield entry;
    }
  }

  private *still(fallen: readonly WaitingEntry[]): Generator<StoredMessage> {
    for (const entry of fallen) if (this.entries.has(entry.seq) && this.lanes.isHead(entry)) yield entry;
  }

  private place(entry: WaitingEntry): void {
    if (entry.dueAt === 0) return void this.due[entry.priority].add(entry);
    let low = 0;
    for (let high = this.waiting.length; low < high;) {
      const middle = (low + high) >> 1;
      if (this.waiting[middle].dueAt > entry.dueAt) low = middle + 1;
      else high = middle;
    }
    this.waiting.splice(low, 0, entry);
  }

  private displace(entry: WaitingEntry): void {
    if (this.due[entry.priority].delete(entry)) return;
    const at = this.waiting.indexOf(entry);
    if (at >= 0) this.waiting.splice(at, 1);
  }

  /** The entries whose time has come, in that order. */
  private fallDue(now: number): WaitingEntry[] {
    const fallen: WaitingEntry[] = [];
    while (this.waiting.length > 0 && this.waiting[this.waiting.length - 1].dueAt <= now) {
      const entry = this.waiting.pop()!;
      this.due[entry.priority].add(entry);
      fallen.push(entry);
    }
    return fallen;
  }
}
