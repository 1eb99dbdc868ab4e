import type { WireMessage } from '../../message/message.js';
import type { PublishResult } from '../../transport/outgoing.js';
import type { TransportEnvironment } from '../../transport/transport.js';
import { pauseAfter, RETRY_MS, type Undeliverable } from '../../transport/undeliverable.js';
import { unroutable } from '../kit/envelope.js';
import type { ConsumerSession } from '../kit/supervised-consumer.js';
import type { GroupMember, IncomingRecord, KafkaLink, TopicPartition, TopicPartitionOffset } from './client-port.js';
import { decode } from './codec.js';
import { delayed, type Due, undelayed, waitsUntil } from './delayed.js';
import { keyOf } from './intake.js';
import type { Names } from './names.js';
import type { Publisher } from './publisher.js';

export interface DelayParts {
  readonly names: Names;
  readonly environment: TransportEnvironment;
  readonly publisher: Publisher;
  readonly undeliverable: Undeliverable<string>;
}

const MAX_BYTES_PER_PARTITION = 2 ** 18;

/**
 * Sends on what is due, to where it belongs or to the next part of its wait. In each level everything waits equally long, so
 * only the head of a partition is looked at, and nothing is held in memory.
 */
export class DelaySession implements ConsumerSession {
  readonly ended: Promise<string>;
  private end!: (reason: string) => void;
  private member?: GroupMember;
  private mine = new Set<string>();
  private readonly places = new Map<string, TopicPartitionOffset>();
  private joining?: Promise<void>;
  private isOver = false;

  constructor(
    private readonly client: KafkaLink,
    private readonly topics: readonly string[],
    private readonly parts: DelayParts,
  ) {
    this.ended = new Promise((resolve) => (this.end = resolve));
  }

  consume(): Promise<void> {
    this.joining ??= this.join();
    return this.joining;
  }

  pause(): void {
    // Nobody asks for it.
  }

  stop(): Promise<void> {
    return this.close();
  }

  finish(): void {
    this.end('stopped');
  }

  giveUp(reason: string): void {
    this.isOver = true;
    void this.member?.leave();
    this.end(reason);
  }

  async close(): Promise<void> {
    await this.leave();
    this.end('closed');
  }

  async leave(): Promise<void> {
    this.isOver = true;
    await this.member?.leave();
  }

  assigned(partitions: readonly TopicPartition[]): void {
    this.mine = new Set(partitions.map(keyOf));
  }

  records(from: TopicPartition, records: readonly IncomingRecord[], nextOffset: number): Promise<void> | undefined {
    return this.isOver
      ? undefined
      : this.sendOn(from, records, nextOffset).catch(() => this.again(from, records[0].offset));
  }

  private async join(): Promise<void> {
    const { names } = this.parts;
    const options = { group: names.delayGroup, topics: this.topics, maxBytes: MAX_BYTES_PER_PARTITION };
    const member = await this.client.join(options, {
      assigned: (partitions) => this.assigned(partitions),
      records: (from, records, nextOffset) => this.records(from, records, nextOffset),
      ended: (reason) => this.giveUp(reason),
    });
    this.member = member;
    if (this.isOver) await member.leave();
  }

  private async sendOn(from: TopicPartition, records: readonly IncomingRecord[], nextOffset: number): Promise<void> {
    const { clock } = this.parts.environment;
    const now = clock.now();
    const waits = records.findIndex((record) => waitsUntil(record, now) > now);
    const due = waits < 0 ? records : records.slice(0, waits);
    const results = await Promise.all(due.map((record) => this.forward(record, now)));
    const failed = results.indexOf(false);
    const end = failed >= 0 ? due[failed].offset : waits < 0 ? nextOffset : records[waits].offset;
    if (!this.mine.has(keyOf(from)) || this.isOver) return;
    if (end > records[0].offset) await this.commit({ ...from, offset: end });
    if (failed >= 0) this.again(from, end);
    else if (waits >= 0) this.holdUntil(from, end, waitsUntil(records[waits], now) - clock.now());
  }

  /** What it has committed of the partitions that it has now. */
  get committed(): readonly TopicPartitionOffset[] {
    return [...this.places.values()].filter((place) => this.mine.has(keyOf(place)));
  }

  /** Refused while the group is rebalanced: then it is sent on once more. */
  private async commit(place: TopicPartitionOffset): Promise<void> {
    await this.member?.commit([place]).then(
      () => this.places.set(keyOf(place), place),
      () => {},
    );
  }

  /** It could not be sent for a passing reason. */
  private again(from: TopicPartition, offset: number): void {
    if (!this.isOver) this.holdUntil(from, offset, RETRY_MS);
  }

  private holdUntil(from: TopicPartition, offset: number, waitMs: number): void {
    const { member } = this;
    if (!member) return;
    member.holdAt({ ...from, offset });
    this.parts.environment.clock.after(Math.max(1, waitMs), () => member.resume(from), { background: true });
  }

  /** False: it is tried again from here. What nobody takes goes round in a level, with growing pauses. */
  private async forward(waited: IncomingRecord, now: number): Promise<boolean> {
    const { names, undeliverable } = this.parts;
    const found = undelayed(waited);
    if (!found) return true;
    const { record, due } = found;
    if (due.dueAt > now) return (await this.send(delayed(record, due, now, names))).status === 'confirmed';
    const key = `${String(waited.headers['message-id'])} ${due.dueAt}`;
    const result = await this.send(record);
    if (result.status === 'confirmed') {
      if (!undeliverable.isEmpty) undeliverable.delivered(key);
      return true;
    }
    if (result.status === 'failed') return false;
    if (due.optional && result.status === 'unroutable') return true;
    undeliverable.refused(key, messageOf(waited), result.error.message);
    const next: Due = { ...due, dueAt: now + pauseAfter(due.round ?? 0), round: (due.round ?? 0) + 1 };
    return (await this.send(delayed(record, next, now, names))).status === 'confirmed';
  }

  private send(record: ReturnType<typeof delayed>): Promise<PublishResult> {
    const { names, publisher } = this.parts;
    return new Promise((tell) =>
      publisher.send({
        record,
        missing: () => ({
          status: 'unroutable',
          error: unroutable({ to: { kind: 'queue', queue: record.topic } }, names.topic),
        }),
        tell,
      }),
    );
  }
}

function messageOf(record: IncomingRecord): WireMessage {
  return decode(record, record.topic, record.topic).message;
}
