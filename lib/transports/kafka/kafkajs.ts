import type * as Kafkajs from 'kafkajs';
import type { Admin, KafkaConfig, Message, Producer, RetryOptions } from 'kafkajs';
import { answered } from '../../clock/answered.js';
import type { Clock } from '../../clock/clock.js';
import { loadPeer } from '../../errors/optional-peer.js';
import { alongPartitions } from './assigner.js';
import {
  type GroupMember,
  type GroupPlace,
  type KafkaClient,
  type KafkaLink,
  type LogRange,
  type MemberHandlers,
  type MemberOptions,
  type NewTopic,
  type OutgoingRecord,
  type TopicPartitionOffset,
} from './client-port.js';
import { isOverMissingTopic } from './errors.js';
import { asked, clientError, KafkajsMember, texts } from './kafkajs-member.js';
import { Sockets } from './sockets.js';

export interface KafkajsSettings {
  readonly config: KafkaConfig;
  readonly clock: Clock;
  /** How long the group waits for a member that is silent, in milliseconds. */
  readonly sessionTimeout: number;
  readonly compression?: 'none' | 'gzip';
}

/** How long a fetch waits where there is nothing, in milliseconds: so long a member takes to leave. */
const FETCH_WAIT_MS = 100;
const LEAVE_WITHIN_MS = 2_000;
/** Of a link; between its brokers it retries what has no answer, with the same sequence number. */
const FEW_RETRIES = { retries: 4, initialRetryTime: 50, maxRetryTime: 500, multiplier: 2 };

/** Kafka by kafkajs. */
export class KafkajsClient implements KafkaClient {
  constructor(private readonly settings: KafkajsSettings) {}

  async open(lost: (reason: string) => void): Promise<KafkaLink> {
    const loading = loadPeer(
      { name: 'kafkajs', range: '^2.2.4', neededBy: 'The Kafka transport' },
      () => import('kafkajs'),
    );
    const loaded = (await loading) as typeof Kafkajs & { default?: typeof Kafkajs };
    const link = new KafkajsLink(loaded.default ?? loaded, this.settings, lost);
    try {
      await link.connect();
      return link;
    } catch (error) {
      link.destroy();
      throw clientError(error);
    }
  }
}

/**
 * How often a member tries again: for ever while no broker can be reached, since a group that comes back waits for its members
 * as if they had been heard a moment ago, and a member that gave up and joins anew has to wait until the old one is given up. Of
 * a cluster that answers, for a session. It is compared when it is needed: kafkajs cannot be told to stop.
 */
function patience(sockets: Sockets, sessionTimeout: number): number {
  const most = Math.ceil(sessionTimeout / FEW_RETRIES.maxRetryTime);
  const now = (): number => (sockets.isDestroyed ? 0 : sockets.steadyMs > sessionTimeout ? most : Infinity);
  return { valueOf: now } as unknown as number;
}

/** What the types of kafkajs leave out of a broker. */
interface GroupCoordinator {
  leaveGroup(member: { readonly groupId: string; readonly memberId: string }): Promise<unknown>;
}

interface Producing {
  readonly producer: Producer;
  readonly sockets: Sockets;
}

class KafkajsLink implements KafkaLink {
  private readonly sockets: Sockets;
  private admin: Admin;
  private producing?: Producing;
  private isDestroyed = false;
  private turn = 0;

  constructor(
    private readonly module: typeof Kafkajs,
    private readonly settings: KafkajsSettings,
    private readonly lost: (reason: string) => void,
  ) {
    this.sockets = new Sockets(settings.clock, lost);
    this.admin = this.kafkaOn(this.sockets).admin({ retry: FEW_RETRIES });
  }

  /** Another client of the same cluster. */
  get native(): Kafkajs.Kafka {
    return new this.module.Kafka(this.settings.config);
  }

  async connect(): Promise<void> {
    await this.admin.connect();
    this.producing = await this.newProducer();
  }

  async topics(): Promise<Map<string, number>> {
    const { topics } = await this.looking((admin) => admin.fetchTopicMetadata());
    return new Map(topics.map(({ name, partitions }) => [name, partitions.length]));
  }

  async createTopics(topics: readonly NewTopic[]): Promise<void> {
    const wanted = topics.map(({ topic, partitions, replicas, config }) => ({
      topic,
      numPartitions: partitions,
      replicationFactor: replicas,
      configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
    }));
    // One that was asked about a topic asks for it ever after, and makes nothing any more once it is deleted.
    const sockets = new Sockets(this.settings.clock);
    const admin = this.kafkaOn(sockets).admin({ retry: FEW_RETRIES });
    try {
      await asked(admin.connect());
      await asked(admin.createTopics({ topics: wanted, waitForLeaders: true }));
    } finally {
      void admin.disconnect().catch(() => {});
      sockets.destroy();
    }
  }

  async deleteTopics(topics: readonly string[]): Promise<void> {
    await asked(this.admin.deleteTopics({ topics: [...topics] }));
  }

  async committed(groupId: string, only?: string): Promise<readonly GroupPlace[]> {
    const found = await this.looking((admin) =>
      admin.fetchOffsets({ groupId, ...(only !== undefined && { topics: [only] }) }),
    );
    const places = found.flatMap(({ topic, partitions }) =>
      partitions.map(({ partition, offset, metadata }) => ({
        topic,
        partition,
        offset: Number(offset),
        ...(metadata && { metadata }),
      })),
    );
    return places.filter(({ offset }) => offset >= 0);
  }

  async ranges(topic: string): Promise<readonly LogRange[]> {
    const found = await this.looking((admin) => admin.fetchTopicOffsets(topic));
    return found.map(({ partition, low, high }) => ({ topic, partition, first: Number(low), end: Number(high) }));
  }

  async groups(names: readonly string[]) {
    const { groups } = await asked(this.admin.describeGroups([...names]));
    return new Map(groups.map(({ groupId, state, members }) => [groupId, { state, members: members.length }]));
  }

  async since(topic: string, time: number): Promise<readonly TopicPartitionOffset[]> {
    const found = await this.looking((admin) => admin.fetchTopicOffsetsByTimestamp(topic, Math.floor(time)));
    return found.map(({ partition, offset }) => ({ topic, partition, offset: Number(offset) }));
  }

  async place(groupId: string, offsets: readonly TopicPartitionOffset[]): Promise<void> {
    const sockets = new Sockets(this.settings.clock);
    const consumer = this.kafkaOn(sockets).consumer({
      ...this.memberConfig(groupId),
      maxWaitTimeInMs: 1,
      retry: FEW_RETRIES,
    });
    const topics = [...new Set(offsets.map(({ topic }) => topic))];
    let mine: Readonly<Record<string, readonly number[]>> = {};
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => void (mine = payload.memberAssignment));
    let crash: Error | undefined;
    consumer.on(consumer.events.CRASH, ({ payload }) => void (crash = payload.error));
    try {
      await asked(consumer.connect());
      await asked(consumer.subscribe({ topics, fromBeginning: true }));
      await asked(consumer.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch: async () => {} }));
      if (crash) throw clientError(crash);
      // Two processes may do this at once: each for the partitions that it has now, and only where there is no place.
      const there = (await Promise.all(topics.map((topic) => this.committed(groupId, topic)))).flat();
      const places = new Set(there.map(({ topic, partition }) => `${topic} ${partition}`));
      const wanted = offsets.filter(
        ({ topic, partition }) => mine[topic]?.includes(partition) && !places.has(`${topic} ${partition}`),
      );
      if (wanted.length > 0) await asked(consumer.commitOffsets(texts(wanted)));
    } finally {
      await consumer.disconnect().catch(() => {});
      sockets.destroy();
    }
  }

  async truncate(places: readonly TopicPartitionOffset[]): Promise<void> {
    for (const topic of new Set(places.map((place) => place.topic))) {
      const partitions = texts(places.filter((place) => place.topic === topic));
      // It looks for the leaders in what it knows already.
      await this.looking((admin) => admin.fetchTopicOffsets(topic));
      await asked(this.admin.deleteTopicRecords({ topic, partitions }));
    }
  }

  /**
   * A producer that failed is not used again. Kafkajs gives the sequence numbers of a request that failed to the next one,
   * also those of partitions that have been written: the broker would take that for a repetition, and drop it.
   */
  async produce(records: readonly OutgoingRecord[]): Promise<void> {
    const byTopic = new Map<string, Message[]>();
    for (const record of records as readonly (OutgoingRecord & Message)[]) {
      const messages = byTopic.get(record.topic);
      if (messages) messages.push(record);
      else byTopic.set(record.topic, [record]);
    }
    const { producer, sockets } = (this.producing ??= await asked(this.newProducer()));
    try {
      const topicMessages = [...byTopic].map(([topic, messages]) => ({ topic, messages }));
      const { GZIP, None } = this.module.CompressionTypes;
      const compression = this.settings.compression === 'gzip' ? GZIP : None;
      await asked(producer.sendBatch({ acks: -1, compression, topicMessages }));
    } catch (error) {
      this.producing = undefined;
      sockets.destroy();
      throw error;
    }
  }

  async join(options: MemberOptions, handlers: MemberHandlers): Promise<GroupMember> {
    const { clock, sessionTimeout } = this.settings;
    const sockets = new Sockets(clock);
    const retry = { ...FEW_RETRIES, retries: patience(sockets, sessionTimeout) };
    const consumer = this.kafkaOn(sockets, retry).consumer({
      ...this.memberConfig(options.group, () => member.joins()),
      maxBytesPerPartition: options.maxBytes,
      retry: { ...retry, restartOnFailure: async () => false },
    });
    const leaveFor = (id: string): Promise<void> => this.leaveFor(options.group, id);
    const member = new KafkajsMember(consumer, sockets, clock, handlers, leaveFor);
    await asked(member.start(options.topics)).catch(async (error: unknown) => {
      await member.leave();
      throw error;
    });
    return member;
  }

  async ping(): Promise<void> {
    await asked(this.admin.describeCluster());
  }

  async end(): Promise<void> {
    await Promise.allSettled([this.producing?.producer.disconnect(), this.admin.disconnect()]);
    this.destroy();
  }

  destroy(): void {
    this.isDestroyed = true;
    this.sockets.destroy();
    this.producing?.sockets.destroy();
  }

  /** One that was asked about a topic asks for it ever after: once that is deleted another one looks. */
  private async looking<T>(look: (admin: Admin) => Promise<T>): Promise<T> {
    const { admin } = this;
    try {
      return await asked(look(admin));
    } catch (error) {
      if (!isOverMissingTopic(error)) throw error;
      if (admin === this.admin) {
        this.admin = this.kafkaOn(this.sockets).admin({ retry: FEW_RETRIES });
        void admin.disconnect().catch(() => {});
      }
      await asked(this.admin.connect());
      return asked(look(this.admin));
    }
  }

  private kafkaOn(sockets: Sockets, retry: RetryOptions = { retries: 0 }): Kafkajs.Kafka {
    return new this.module.Kafka({
      retry,
      ...this.settings.config,
      socketFactory: sockets.factory,
      logLevel: this.module.logLevel.NOTHING,
    });
  }

  /** While one of its requests waits for the group the broker reads no other on the same connection. */
  private async leaveFor(groupId: string, memberId: string): Promise<void> {
    const { clock } = this.settings;
    const sockets = new Sockets(clock);
    let cluster!: Kafkajs.Cluster;
    this.kafkaOn(sockets).consumer({
      groupId,
      partitionAssigners: [(given) => alongPartitions(this.module)({ cluster: (cluster = given.cluster) })],
    });
    const leave = async (): Promise<void> => {
      await cluster.connect();
      await cluster.refreshMetadata();
      const coordinator = (await cluster.findGroupCoordinator({ groupId })) as Kafkajs.Broker & GroupCoordinator;
      await coordinator.leaveGroup({ groupId, memberId });
    };
    try {
      await answered(leave(), { clock, ms: LEAVE_WITHIN_MS });
    } finally {
      sockets.destroy();
    }
  }

  private memberConfig(groupId: string, joins?: () => void): Kafkajs.ConsumerConfig {
    const { sessionTimeout } = this.settings;
    return {
      groupId,
      partitionAssigners: [alongPartitions(this.module, joins)],
      sessionTimeout,
      rebalanceTimeout: sessionTimeout,
      heartbeatInterval: Math.min(3_000, Math.floor(sessionTimeout / 4)),
      maxWaitTimeInMs: FETCH_WAIT_MS,
      metadataMaxAge: this.settings.sessionTimeout,
      allowAutoTopicCreation: false,
    };
  }

  private async newProducer(): Promise<Producing> {
    const byKey = this.module.Partitioners.DefaultPartitioner();
    const sockets = new Sockets(this.settings.clock, (reason) => !this.isDestroyed && this.lost(reason));
    const producer = this.kafkaOn(sockets).producer({
      idempotent: true,
      maxInFlightRequests: 1,
      // New partitions are found after so long.
      metadataMaxAge: this.settings.sessionTimeout,
      allowAutoTopicCreation: false,
      retry: FEW_RETRIES,
      // A record that is sent again goes to its partition again, or a sequence number would stand for another record.
      createPartitioner: () => (args) => {
        const { message, partitionMetadata } = args;
        message.partition ??= message.key === null ? this.turn++ % partitionMetadata.length : byKey(args);
        return message.partition;
      },
    });
    if (this.isDestroyed) sockets.destroy();
    await producer.connect();
    return { producer, sockets };
  }
}
