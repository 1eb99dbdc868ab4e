import type { CancelTimer, Clock } from '../clock/clock.js';
import { nextTurn } from '../clock/turn.js';
import { isDamage } from '../clients/sqlite.js';
import { RetryQueueStoreError } from '../errors/publish-errors.js';
import { errorMessage } from '../errors/redact.js';
import type { OwnFile } from './own-file.js';
import { type Batch, type PendingChanges, writeBatch } from './pending-changes.js';
import type { QueueFile } from './queue-file.js';
import type { StoredEntry } from './queue-entry.js';
import type { QueueObserver } from './queue-observer.js';
import { QueueStatistics } from './queue-statistics.js';

/** Removals and updates wait so long for company: the loss of one costs a duplicate, not a message. */
const GATHER_MS = 50;
/** After a failure writing is tried again after so many milliseconds. */
const RETRY_MS = 1_000;
/** So many removals may wait for a disk that cannot be written; then nothing is handed out, so that nothing is sent twice. */
const MAX_UNWRITTEN = 10_000;
/** A file of this size is made small when nothing is left in it. */
const SHRINK_BYTES = 16 * 2 ** 20;

/** What the storage tells its user's side. */
export interface StorageEvents {
  readonly observer: QueueObserver;
  /** The file was replaced: what was read ahead is not valid any more. */
  replaced(): void;
}

/**
 * Writes pending changes to the own file, grouped: what is appended in one turn of the event loop shares a transaction, a
 * lone append does not wait. It opens the file, opens it again after failures, and replaces it when it is damaged.
 */
export class QueueStorage {
  statistics = new QueueStatistics();
  lastSeq = 0;
  /** Entries taken over from processes that died, and rows set apart, since the start. */
  adopted = 0;
  setApartCount = 0;
  private own: OwnFile | undefined;
  private scheduled = false;
  private cancelTimer: CancelTimer | undefined;
  private failing = false;
  private opened = false;
  private nextOpening = 0;
  private closed = false;

  constructor(
    private readonly pending: PendingChanges,
    private readonly clock: Clock,
    private readonly events: StorageEvents,
  ) {}

  get quarantined(): number {
    return (this.own?.quarantined ?? 0) + this.setApartCount;
  }

  /** False while the file cannot be written. */
  get healthy(): boolean {
    return !this.failing;
  }

  /** Everything is remembered that must not be handed out again. */
  get trusted(): boolean {
    return this.pending.removalCount <= MAX_UNWRITTEN;
  }

  /** Entries are written from now on. It does not throw: what fails is reported, and tried again. */
  open(own: OwnFile): void {
    this.own = own;
    try {
      this.file();
    } catch (error) {
      this.report('open', error);
    }
    this.schedule();
  }

  /** Changes are pending: they are written on the next turn of the event loop, or soon. */
  schedule(): void {
    if (this.closed || this.scheduled || this.pending.isEmpty || !this.own) return;
    if (!this.pending.hasAppends && (this.failing || !this.pending.isLarge))
      return this.arm(this.failing ? RETRY_MS : GATHER_MS);
    this.scheduled = true;
    nextTurn(() => {
      this.scheduled = false;
      this.commitOne();
    });
  }

  /** Writes everything that is pending now. True: it is on the disk. */
  commit(): boolean {
    while (!this.pending.isEmpty && !this.closed) {
      if (!this.own) return false;
      if (!this.commitOne()) return false;
    }
    return true;
  }

  /** Runs `work` on the file; `otherwise` when there is none, or it cannot be read. */
  read<T>(operation: string, work: (file: QueueFile) => T, otherwise: T): T {
    const file = this.own?.file;
    if (!file) return otherwise;
    try {
      return work(file);
    } catch (error) {
      if (!this.repair(error)) this.report(operation, error);
      return otherwise;
    }
  }

  /** A transaction of its own on the own file, beside what is pending. @throws errors of SQLite */
  transaction<T>(work: (file: QueueFile) => T): T {
    const file = this.file();
    return file.transaction(() => work(file));
  }

  /** What the file holds is counted anew. */
  recount(): void {
    const totals = this.read('read', (file) => file.totals(), undefined);
    if (!totals) return;
    this.statistics = new QueueStatistics();
    this.statistics.merge(totals);
    this.statistics.merge(this.pending.appended());
  }

  /** Entries came from a process that died. */
  tookOver(count: number): void {
    if (count === 0) return;
    this.adopted += count;
    this.events.observer.adopted(count);
  }

  setApart(damaged: readonly StoredEntry[]): void {
    let set = 0;
    this.read(
      'set apart',
      (file) =>
        file.transaction(() => {
          const totals = new QueueStatistics();
          file.count();
          for (const stored of damaged) {
            const { count, bytes } = file.setApart(stored);
            totals.add(stored.queue, -count, -bytes);
            set += count;
          }
          file.repairHeads();
          totals.addTo(file);
          this.statistics.merge(totals);
        }),
      undefined,
    );
    if (set === 0) return;
    this.setApartCount += set;
    const what = `${set} stored messages are not what was written; they are set apart and not sent`;
    this.events.observer.log.error(
      `${what} (places ${damaged
        .slice(0, 10)
        .map(({ seq }) => seq)
        .join(', ')})`,
    );
    this.events.observer.failed('read', new RetryQueueStoreError(what));
  }

  report(operation: string, cause: unknown): RetryQueueStoreError {
    const error = storeError(operation, cause);
    if (!this.failing) this.events.observer.log.error(error.message);
    this.failing = true;
    this.events.observer.failed(operation, error);
    return error;
  }

  /** Writes what is pending and lets go of the file; an empty one is removed. */
  close(): void {
    if (this.closed) return;
    this.commit();
    this.closed = true;
    this.cancelTimer?.();
    while (this.pending.hasAppends) this.refuse(this.pending.next(), storeError('close', 'the store is closed'));
    try {
      this.own?.close(this.pending.isEmpty && (this.own.file?.isEmpty ?? false));
    } catch (error) {
      this.report('close', error);
    }
  }

  private arm(ms: number): void {
    this.cancelTimer ??= this.clock.after(
      ms,
      () => {
        this.cancelTimer = undefined;
        this.commitOne();
      },
      { background: true },
    );
  }

  /** One transaction; what is left gets its turn later. */
  private commitOne(): boolean {
    if (this.closed || this.pending.isEmpty) return true;
    let batch: Batch | undefined;
    try {
      const file = this.file();
      const written = (batch = this.pending.next());
      file.transaction(() => writeBatch(file, written));
    } catch (error) {
      if (!this.repair(error)) this.refuse(batch ?? this.pending.next(), this.report('write', error));
      this.schedule();
      return false;
    }
    this.pending.written(batch);
    if (this.failing) this.events.observer.log.warn('The store of the retry queue works again');
    this.failing = false;
    for (const { done } of batch.appends) done();
    this.shrink();
    this.schedule();
    return true;
  }

  /** These entries are not kept, and their callers are told. */
  private refuse(batch: Batch, error: RetryQueueStoreError): void {
    this.pending.refused(batch);
    for (const { entry } of batch.appends) this.statistics.add(entry.queue, -1, -entry.bytes);
    for (const { done } of batch.appends) done(error);
  }

  private file(): QueueFile {
    const open = this.own?.file;
    if (open) return open;
    if (!this.own || this.clock.monotonic() < this.nextOpening) throw new Error('its file could not be opened');
    this.nextOpening = this.clock.monotonic() + RETRY_MS;
    const file = this.own.open();
    const before = file.lastSeq();
    // Places given before the first file was open begin behind those in it.
    if (!this.opened) {
      this.pending.shift(before);
      this.lastSeq += before;
    }
    this.opened = true;
    this.lastSeq = Math.max(this.lastSeq, before);
    this.recount();
    let count = 0;
    for (const { depth } of file.totals().values()) count += depth;
    this.tookOver(count);
    return file;
  }

  /** Goes on with a new file when this error says that the old one is damaged. */
  private repair(error: unknown): boolean {
    if (!isDamage(error) || !this.own?.file) return false;
    try {
      const file = this.own.replace(error, (seq) => this.pending.isRemoved(seq));
      this.lastSeq = Math.max(this.lastSeq, file.lastSeq());
    } catch (cause) {
      this.report('repair', cause);
      return false;
    }
    this.events.replaced();
    this.recount();
    this.events.observer.failed('read', storeError('read', error));
    return true;
  }

  private shrink(): void {
    if (this.statistics.depth > 0 || !this.pending.isEmpty) return;
    this.read(
      'shrink',
      (file) => {
        if (file.size > SHRINK_BYTES) file.shrink();
      },
      undefined,
    );
  }
}

function storeError(operation: string, cause: unknown): RetryQueueStoreError {
  const reason = errorMessage(cause);
  return new RetryQueueStoreError(`The store of the retry queue failed (${operation}): ${reason}`, { cause });
}
