import type { RetryQueueStoreError } from '../errors/publish-errors.js';
import { type Death, moveTo, type QueueEntry } from './queue-entry.js';
import type { QueueFile } from './queue-file.js';
import { QueueStatistics } from './queue-statistics.js';

/** Told when an entry is on the disk, or that it could not be written and is not kept. */
export type AppendDone = (error?: RetryQueueStoreError) => void;

interface Append {
  readonly entry: QueueEntry;
  readonly done: AppendDone;
}

interface EntryRemoval {
  readonly entry: QueueEntry;
  readonly death: Death | undefined;
}

/** So many entries share a transaction at most: more would keep the event loop waiting. */
const MAX_APPENDS = 1_000;
const MAX_BYTES = 2 ** 20;
/** So many changes of other kinds are gathered at most before they are written. */
const MANY_CHANGES = 500;

/** What one transaction writes. */
export interface Batch {
  readonly appends: readonly Append[];
  readonly removals: readonly EntryRemoval[];
  readonly updates: readonly QueueEntry[];
}

/** Changes that are not on the disk yet. Reading has to look here first. */
export class PendingChanges {
  private readonly appends = new Map<number, Append>();
  private readonly removals = new Map<number, EntryRemoval>();
  private readonly updates = new Map<number, QueueEntry>();
  /** Lanes of entries that are not written yet, with how many there are. */
  private readonly lanes = new Map<string, number>();
  /** The last place in each lane that was removed from its front. */
  private readonly fronts = new Map<string, number>();

  get hasAppends(): boolean {
    return this.appends.size > 0;
  }

  get isEmpty(): boolean {
    return this.appends.size === 0 && this.removals.size === 0 && this.updates.size === 0;
  }

  get isLarge(): boolean {
    return this.removals.size + this.updates.size >= MANY_CHANGES;
  }

  get removalCount(): number {
    return this.removals.size;
  }

  isAppended(seq: number): boolean {
    return this.appends.has(seq);
  }

  /** Entries that are to be written, by queue. */
  appended(): QueueStatistics {
    const statistics = new QueueStatistics();
    for (const { entry } of this.appends.values()) statistics.add(entry.queue, 1, entry.bytes);
    return statistics;
  }

  isRemoved(seq: number): boolean {
    return this.removals.has(seq);
  }

  get hasUpdates(): boolean {
    return this.updates.size > 0;
  }

  /** An entry that was read, as it is now. */
  current(entry: QueueEntry): QueueEntry {
    return this.updates.get(entry.seq) ?? entry;
  }

  holds(queue: string, lane: string): boolean {
    return this.lanes.has(laneId(queue, lane));
  }

  front(queue: string, lane: string): number {
    return this.fronts.get(laneId(queue, lane)) ?? 0;
  }

  setFront({ queue, lane, seq }: QueueEntry): void {
    if (lane !== undefined) this.fronts.set(laneId(queue, lane), seq);
  }

  append(entry: QueueEntry, done: AppendDone): void {
    this.appends.set(entry.seq, { entry, done });
    this.countLane(entry, 1);
  }

  /** Takes an entry back that is not written yet. */
  withdraw(entry: QueueEntry): boolean {
    if (!this.appends.delete(entry.seq)) return false;
    this.countLane(entry, -1);
    return true;
  }

  remove(entry: QueueEntry, death?: Death): void {
    this.updates.delete(entry.seq);
    this.removals.set(entry.seq, { entry, death });
  }

  update(entry: QueueEntry): void {
    const append = this.appends.get(entry.seq);
    if (append) this.appends.set(entry.seq, { ...append, entry });
    else this.updates.set(entry.seq, entry);
  }

  /** Entries got their places before it was known which are taken: all of them move on. */
  shift(by: number): void {
    const appends = [...this.appends.values()];
    const removals = [...this.removals.values()];
    this.appends.clear();
    this.removals.clear();
    for (const { entry } of [...appends, ...removals]) moveTo(entry, entry.seq + by);
    for (const append of appends) this.appends.set(append.entry.seq, append);
    for (const removal of removals) this.removals.set(removal.entry.seq, removal);
  }

  next(): Batch {
    const appends: Append[] = [];
    let bytes = 0;
    for (const append of this.appends.values()) {
      if (appends.length === MAX_APPENDS || bytes >= MAX_BYTES) break;
      appends.push(append);
      bytes += append.entry.body.length;
    }
    return { appends, removals: [...this.removals.values()], updates: [...this.updates.values()] };
  }

  written(batch: Batch): void {
    for (const { entry } of batch.appends) this.withdraw(entry);
    this.removals.clear();
    this.updates.clear();
    this.fronts.clear();
  }

  /** Forgets entries that could not be written. */
  refused(batch: Batch): void {
    for (const { entry } of batch.appends) this.withdraw(entry);
  }

  private countLane({ queue, lane }: QueueEntry, by: 1 | -1): void {
    if (lane === undefined) return;
    const id = laneId(queue, lane);
    const count = (this.lanes.get(id) ?? 0) + by;
    if (count === 0) this.lanes.delete(id);
    else this.lanes.set(id, count);
  }
}

/** Writes a batch, within a transaction. */
export function writeBatch(file: QueueFile, { appends, removals, updates }: Batch): void {
  const totals = new QueueStatistics();
  const lanes = new Map<string, QueueEntry>();
  if (removals.length > 0) file.count();
  for (const { entry, death } of removals) {
    const { seq, queue, lane, bytes } = entry;
    if (file.delete(seq)) totals.add(queue, -1, -bytes);
    if (lane !== undefined) lanes.set(laneId(queue, lane), entry);
    if (!death) continue;
    file.insertDead(entry, death);
    totals.add(queue, 0, 0, 1);
  }
  for (const { queue, lane } of lanes.values()) file.promote(queue, lane!);
  for (const entry of updates) file.update(entry);
  totals.addTo(file);
  file.insert(appends.map(({ entry }) => entry));
}

function laneId(queue: string, lane: string): string {
  return `${queue.length}:${queue}${lane}`;
}
