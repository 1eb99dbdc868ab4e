import type { Consumer, EachBatchPayload, Offsets } from 'kafkajs';
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
import { keyOf } from './intake.js';
import type { Sockets } from './sockets.js';

/** While records wait for room; kafkajs skips those that come too early. */
const HEARTBEAT_MS = 500;
/** Kafkajs leaves when it has joined, which takes until all members have been heard or given up. */
const LEAVE_WITHIN_MS = 3_000;
/** The most partitions of one fetch that are handed over without waiting for each other. */
const CONCURRENT_PARTITIONS = 1_024;

/** Without what came with it, which it would keep in memory. */
interface PlaceWriter {
  readonly commitOffsetsIfNecessary: (places: Offsets) => Promise<void>;
}

/** A member of a group, by kafkajs. */
export class KafkajsMember implements GroupMember {
  private id?: string;
  private leaving?: Promise<void>;
  /** Where kafkajs goes on as long as the group is not rebalanced: since the last time, so that it tells that, too. */
  private read = new Map<string, number>();
  private readonly committed = new Map<string, number>();
  /** Asked to join, and it has not been told its partitions. */
  private isJoining = false;
  /** Kafkajs has no group any more: whoever asks it for something is thrown at. */
  private isStopped = false;
  /** Brokers that were read from since the last time that nothing was. */
  private readonly brokers = new Set<string>();
  /** It has joined while other brokers were read from: what they answer was asked for from its places of before. */
  private isMixed = false;
  private write?: PlaceWriter['commitOffsetsIfNecessary'];

  constructor(
    private readonly consumer: Consumer,
    private readonly sockets: Sockets,
    private readonly clock: Clock,
    private readonly handlers: MemberHandlers,
    /** Says for a member that it has left, over a connection of its own. */
    private readonly leaveFor: (id: string) => Promise<void>,
  ) {}

  joins(): void {
    this.isJoining = true;
  }

  async start(topics: readonly string[]): Promise<void> {
    const { consumer, handlers } = this;
    consumer.on(consumer.events.GROUP_JOIN, ({ payload: { memberId, memberAssignment } }) => {
      const partitions = Object.entries(memberAssignment).flatMap(([topic, numbers]) =>
        numbers.map((partition) => ({ topic, partition })),
      );
      const anew = this.id !== memberId;
      this.id = memberId;
      this.isJoining = false;
      this.isMixed = this.brokers.size > 1;
      // Asked for from now on, so that no place is below what is committed by now.
      this.read = new Map(this.committed);
      if (!this.leaving) handlers.assigned(partitions, anew);
    });
    consumer.on(consumer.events.FETCH_START, ({ payload: { nodeId } }) => void this.brokers.add(String(nodeId)));
    // It has waited for all brokers before it says so.
    consumer.on(consumer.events.REBALANCING, () => this.brokers.clear());
    // Where joining failed half-way kafkajs goes on with the partitions of before, as a member in good standing.
    consumer.on(consumer.events.HEARTBEAT, () => {
      if ((this.isJoining || this.isMixed) && !this.leaving) throw rebalancing();
    });
    // Before it says that it has crashed.
    consumer.on(consumer.events.STOP, () => void (this.isStopped = true));
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
    await this.writePlaces(places).catch((error: ClientError) => {
      // Allowed less than the default: what is settled ahead may come again.
      if (error.type !== 'OFFSET_METADATA_TOO_LARGE') throw error;
      return this.writePlaces(places.map(({ metadata: _, ...place }) => place));
    });
    for (const place of places) this.committed.set(keyOf(place), place.offset);
  }

  holdAt(place: TopicPartitionOffset): void {
    if (this.isOver) return;
    const { topic, partition, offset } = place;
    this.consumer.seek({ topic, partition, offset: String(offset) });
    this.hold(place);
  }

  hold({ topic, partition }: TopicPartition): void {
    if (!this.isOver) this.consumer.pause([{ topic, partitions: [partition] }]);
  }

  resume({ topic, partition }: TopicPartition): void {
    if (!this.isOver) this.consumer.resume([{ topic, partitions: [partition] }]);
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
      if (!left.signal.aborted && this.id !== undefined) await this.leaveFor(this.id).catch(() => {});
    })();
    return this.leaving;
  }

  private get isOver(): boolean {
    return this.isStopped || this.leaving !== undefined;
  }

  /**
   * Once: kafkajs would send what is refused while the group is rebalanced again when that is over, also for partitions that
   * are another's by then.
   */
  private writePlaces(places: readonly GroupPlace[]): Promise<void> {
    if (!this.write) return Promise.reject(new ClientError('nothing was read yet', undefined));
    const topics = [...new Set(places.map(({ topic }) => topic))].map((topic) => ({
      topic,
      partitions: texts(places.filter((place) => place.topic === topic)),
    }));
    return asked(this.write({ topics }));
  }

  private async batch(payload: EachBatchPayload): Promise<void> {
    if (this.leaving) return;
    if (this.isMixed) throw rebalancing();
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
    this.write = (payload as PlaceWriter).commitOffsetsIfNecessary;
    const key = keyOf({ topic, partition });
    const lowest = read.get(key);
    if (records.length > 0) read.set(key, records[0].offset);
    let waiting = this.handlers.records({ topic, partition }, records, next, { end, lowest });
    const done = new AbortController();
    let isRefused = false;
    const go = (): void => {
      waiting = undefined;
      done.abort();
    };
    void waiting?.then(go, () => {
      isRefused = true;
      go();
    });
    // It rejects where the group is rebalanced: then kafkajs joins again.
    await payload.heartbeat();
    while (waiting && !this.leaving) {
      await sleep(this.clock, HEARTBEAT_MS, done.signal);
      await payload.heartbeat();
    }
    // It may have joined again over another of its connections: kafkajs would go on behind these records.
    if (this.read !== read || isRefused) throw rebalancing();
    // Before this the same may come again, as when the heartbeat had no answer.
    read.set(key, next);
  }
}

/** What kafkajs joins again for. */
function rebalancing(): Error {
  return Object.assign(new Error('the group was rebalanced meanwhile'), { type: 'REBALANCE_IN_PROGRESS' });
}

function uncompressed({ message }: Error): string {
  return `a topic has records that kafkajs cannot read without a codec: ${message}. Register one (CompressionCodecs of kafkajs, see docs/kafka.md) and start again`;
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
