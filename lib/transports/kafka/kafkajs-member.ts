import type { Consumer, EachBatchPayload } from 'kafkajs';
import type { Clock } from '../../clock/clock.js';
import { sleep } from '../../clock/sleep.js';
import {
  ClientError,
  type GroupMember,
  type GroupPlace,
  type IncomingRecord,
  type MemberHandlers,
  type TopicPartition,
  type TopicPartitionOffset,
} from './client-port.js';
import type { Sockets } from './sockets.js';

/** While records wait for room; kafkajs skips those that come too early. */
const HEARTBEAT_MS = 500;
const LEAVE_WITHIN_MS = 3_000;
/** The most partitions of one fetch that are handed over without waiting for each other. */
const CONCURRENT_PARTITIONS = 1_024;

/** A member of a group, by kafkajs. */
export class KafkajsMember implements GroupMember {
  private id?: string;
  private leaving?: Promise<void>;
  /** Where kafkajs goes on as long as the group is not rebalanced; and what it begins with after that. */
  private read = new Map<string, number>();
  private readonly committed = new Map<string, number>();

  constructor(
    private readonly consumer: Consumer,
    private readonly sockets: Sockets,
    private readonly clock: Clock,
    private readonly handlers: MemberHandlers,
  ) {}

  async start(topics: readonly string[]): Promise<void> {
    const { consumer, handlers } = this;
    consumer.on(consumer.events.GROUP_JOIN, ({ payload: { memberId, memberAssignment } }) => {
      const partitions = Object.entries(memberAssignment).flatMap(([topic, numbers]) =>
        numbers.map((partition) => ({ topic, partition })),
      );
      const anew = this.id !== memberId;
      this.id = memberId;
      this.read = new Map();
      if (!this.leaving) handlers.assigned(partitions, anew);
    });
    let crash: Error | undefined;
    consumer.on(consumer.events.CRASH, ({ payload: { error } }) => {
      crash = error;
      if (!this.leaving) handlers.ended(error.name === 'KafkaJSNotImplemented' ? uncompressed(error) : error.message);
    });
    await consumer.connect();
    await consumer.subscribe({ topics: [...topics], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      partitionsConsumedConcurrently: CONCURRENT_PARTITIONS,
      eachBatch: (payload) => this.batch(payload),
    });
    if (crash) throw crash;
  }

  async commit(places: readonly GroupPlace[]): Promise<void> {
    await asked(this.consumer.commitOffsets(texts(places))).catch((error: ClientError) => {
      // Allowed less than the default: what is settled ahead may come again.
      if (error.type !== 'OFFSET_METADATA_TOO_LARGE') throw error;
      return asked(this.consumer.commitOffsets(texts(places.map(({ metadata: _, ...place }) => place))));
    });
    for (const place of places) this.committed.set(keyOf(place), place.offset);
  }

  holdAt(place: TopicPartitionOffset): void {
    const { topic, partition, offset } = place;
    this.consumer.seek({ topic, partition, offset: String(offset) });
    this.hold(place);
  }

  hold({ topic, partition }: TopicPartition): void {
    if (!this.leaving) this.consumer.pause([{ topic, partitions: [partition] }]);
  }

  resume({ topic, partition }: TopicPartition): void {
    if (!this.leaving) this.consumer.resume([{ topic, partitions: [partition] }]);
  }

  /** A cluster that does not answer keeps nobody: it finds out by itself. */
  leave(): Promise<void> {
    this.leaving ??= (async () => {
      const left = new AbortController();
      void this.consumer
        .disconnect()
        .catch(() => {})
        .finally(() => left.abort());
      await sleep(this.clock, LEAVE_WITHIN_MS, left.signal);
      this.sockets.destroy();
    })();
    return this.leaving;
  }

  private async batch(payload: EachBatchPayload): Promise<void> {
    if (this.leaving) return;
    const { batch } = payload;
    const { topic, partition, messages } = batch;
    const records = messages.map((message): IncomingRecord => ({
      topic,
      partition,
      offset: Number(message.offset),
      timestamp: Number(message.timestamp),
      key: message.key,
      value: message.value,
      headers: message.headers ?? {},
      raw: message,
    }));
    const [next, end] = [Number(batch.lastOffset()) + 1, Number(batch.highWatermark)];
    const { read } = this;
    const key = keyOf({ topic, partition });
    const lowest = read.get(key) ?? this.committed.get(key);
    if (records.length > 0) read.set(key, records[0].offset);
    let waiting = this.handlers.records({ topic, partition }, records, next, { end, lowest });
    const done = new AbortController();
    void waiting?.then(() => {
      waiting = undefined;
      done.abort();
    });
    // It rejects where the group is rebalanced: then kafkajs joins again.
    await payload.heartbeat();
    while (waiting) {
      await sleep(this.clock, HEARTBEAT_MS, done.signal);
      await payload.heartbeat();
    }
    // Before this the same may come again, as when the heartbeat had no answer.
    read.set(key, next);
  }
}

function uncompressed({ message }: Error): string {
  return `a topic has records that kafkajs cannot read without a codec: ${message}. Register one (CompressionCodecs of kafkajs, see docs/kafka.md) and start again`;
}

function keyOf({ topic, partition }: TopicPartition): string {
  return `${partition} ${topic}`;
}

export function texts(places: readonly GroupPlace[]) {
  return places.map(({ offset, ...place }) => ({ ...place, offset: String(offset) }));
}

/** Errors of the client become those of the port. */
export async function asked<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw clientError(error);
  }
}

export function clientError(error: unknown): Error {
  if (error instanceof ClientError || !(error instanceof Error) || !error.name.startsWith('KafkaJS'))
    return error as Error;
  const causes: { readonly name?: string; readonly type?: string }[] = [];
  for (let one: unknown = error; one && causes.length < 5; one = (one as { cause?: unknown }).cause) causes.push(one);
  const [failed] = (error as { readonly errors?: readonly (Error & { readonly type?: string })[] }).errors ?? [];
  const type = failed?.type ?? causes.find(({ type: one }) => typeof one === 'string')?.type;
  return new ClientError(
    failed ? `${error.message}: ${failed.message}` : error.message,
    type ?? (error.name === 'KafkaJSGroupCoordinatorNotFound' ? 'GROUP_COORDINATOR_NOT_AVAILABLE' : undefined),
    causes.some(({ name }) => name === 'KafkaJSSASLAuthenticationError'),
  );
}
