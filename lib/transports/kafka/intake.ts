import { OffsetWindow } from '../kit/offset-window.js';
import { type Ahead, readAhead, writeAhead } from './ahead.js';
import type { GroupPlace, IncomingRecord, TopicPartition, TopicPartitionOffset } from './client-port.js';

export interface IntakeOptions {
  /** Whether the queue takes a record of this topic; what it does not is passed over. */
  readonly takes: (record: IncomingRecord) => boolean;
  /** So many are handed over from the first on that is not settled. */
  readonly most?: number;
  /** Nothing from here on is read. */
  readonly end?: number;
}

/** One partition as long as it is ours: what was fetched of it and not handed over, and what is settled. */
export class Intake {
  /** Fetched, and not handed over or given back; ascending. */
  private readonly waiting: IncomingRecord[] = [];
  private window?: OffsetWindow;
  private committed = -1;
  private highest = -1;
  /** Times of what was settled ahead of the place when that was last looked at. */
  private readonly ahead = new Map<number, number>();
  /** What was settled ahead of this place before the partition was ours. */
  private before?: Ahead;
  /** Not all that is settled ahead is committed. */
  private hasAhead = false;
  /** Reading it was stopped. */
  isHeld = false;

  constructor(
    readonly topic: string,
    readonly partition: number,
    private readonly options: IntakeOptions,
  ) {}

  get size(): number {
    return this.waiting.length;
  }

  /** Nothing below was not fetched. */
  get next(): number {
    return this.window?.next ?? 0;
  }

  /** The next to be handed over. */
  get head(): IncomingRecord | undefined {
    return this.isBlocked ? undefined : this.waiting[0];
  }

  /** Nothing new is handed over before the first that is not settled is; what was given back is. */
  get isBlocked(): boolean {
    const { window, waiting, options } = this;
    return (
      waiting.length > 0 &&
      waiting[0].offset > this.highest &&
      window!.span - waiting.length >= (options.most ?? Infinity)
    );
  }

  /** Where the group was when the partition became ours. */
  beginAt({ offset, metadata }: GroupPlace): void {
    this.before = readAhead(offset, metadata);
  }

  /** What was fetched; what came before is dropped. `nextOffset`: the partition has nothing else below it. */
  add(records: readonly IncomingRecord[], nextOffset: number): void {
    const { takes, end = Infinity } = this.options;
    if (records.length > 0) this.window ??= new OffsetWindow(records[0].offset);
    for (const record of records) {
      if (record.offset >= end) break;
      if (!takes(record)) this.window!.skipTo(record.offset + 1);
      else if (this.window!.open(record.offset)) {
        if (this.wasSettled(record)) this.settle(record);
        else this.waiting.push(record);
      }
    }
    this.window?.skipTo(Math.min(nextOffset, end));
  }

  take(): IncomingRecord | undefined {
    const record = this.waiting.shift();
    if (record && record.offset > this.highest) this.highest = record.offset;
    return record;
  }

  /** It is handed over again, before everything behind it. */
  giveBack(record: IncomingRecord): void {
    const at = this.waiting.findIndex(({ offset }) => offset > record.offset);
    this.waiting.splice(at < 0 ? this.waiting.length : at, 0, record);
  }

  settle({ offset, timestamp }: IncomingRecord): void {
    const { window, ahead } = this;
    if (!window) return;
    if (!window.settle(offset) && offset > window.committable) {
      ahead.set(offset, timestamp);
      this.hasAhead = true;
    }
  }

  /** Something may be committed and is not. */
  get hasUncommitted(): boolean {
    return this.window !== undefined && (this.hasAhead || this.window.committable > this.committed);
  }

  /** What may be committed and is not, with what is settled ahead of it. From here on that counts as committed ahead. */
  takeUncommitted(): GroupPlace | undefined {
    if (!this.hasUncommitted) return undefined;
    this.hasAhead = false;
    const { topic, partition } = this;
    const offset = this.window!.committable;
    for (const one of this.ahead.keys()) if (one < offset) this.ahead.delete(one);
    const metadata = writeAhead(offset, this.ahead);
    return { topic, partition, offset, ...(metadata && { metadata }) };
  }

  /** What is committed, since it is ours. */
  get place(): TopicPartitionOffset | undefined {
    const { topic, partition, committed: offset } = this;
    return offset > 0 ? { topic, partition, offset } : undefined;
  }

  wasCommitted(offset: number): void {
    this.committed = Math.max(this.committed, offset);
  }

  wasNotCommitted(): void {
    this.hasAhead = this.ahead.size > 0;
  }

  private wasSettled({ offset, timestamp }: IncomingRecord): boolean {
    const { before } = this;
    if (!before?.offsets.has(offset)) return false;
    if (offset === before.first && timestamp !== before.firstAt) this.before = undefined;
    return this.before !== undefined;
  }
}

export function keyOf({ topic, partition }: TopicPartition): string {
  return `${partition} ${topic}`;
}
