import { OffsetWindow } from '../kit/offset-window.js';
import type { IncomingRecord, TopicPartitionOffset } from './client-port.js';

/** One partition as long as it is ours: what was fetched of it and not handed over, and what is settled. */
export class Intake {
  /** Fetched, and not handed over or given back; ascending. */
  private readonly waiting: IncomingRecord[] = [];
  private window?: OffsetWindow;
  private committed = -1;
  private highest = -1;
  /** Reading it was stopped. */
  isHeld = false;

  constructor(
    readonly topic: string,
    readonly partition: number,
    /** Whether the queue takes a record of this topic; what it does not is passed over. */
    private readonly takes: (record: IncomingRecord) => boolean,
    /** So many are handed over from the first on that is not settled: all of them come again if another goes on. */
    private readonly most = Infinity,
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
    const { window, waiting } = this;
    return waiting.length > 0 && waiting[0].offset > this.highest && window!.span - waiting.length >= this.most;
  }

  /** What was fetched; what came before is dropped. `nextOffset`: the partition has nothing else below it. */
  add(records: readonly IncomingRecord[], nextOffset: number): void {
    if (records.length > 0) this.window ??= new OffsetWindow(records[0].offset);
    for (const record of records) {
      if (this.takes(record)) {
        if (this.window!.open(record.offset)) this.waiting.push(record);
      } else this.window!.skipTo(record.offset + 1);
    }
    this.window?.skipTo(nextOffset);
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

  settle({ offset }: IncomingRecord): void {
    this.window?.settle(offset);
  }

  /** What may be committed and is not. */
  get uncommitted(): TopicPartitionOffset | undefined {
    const { topic, partition, window } = this;
    if (!window || window.committable <= this.committed) return undefined;
    return { topic, partition, offset: window.committable };
  }

  /** What is committed, since it is ours. */
  get place(): TopicPartitionOffset | undefined {
    const { topic, partition, committed: offset } = this;
    return offset > 0 ? { topic, partition, offset } : undefined;
  }

  wasCommitted(offset: number): void {
    this.committed = Math.max(this.committed, offset);
  }
}
