import type { TransportCapabilities } from '../../transport/capabilities.js';
import type { TransportDescription } from '../../transport/description.js';
import type { Outgoing } from '../../transport/outgoing.js';
import type { ConsumerGroup } from '../../transport/consumer-group.js';
import type { Topology } from '../../transport/topology.js';
import type {
  PublishDone,
  SubscribeHandlers,
  SubscribeOptions,
  TransportEnvironment,
  TransportSubscription,
} from '../../transport/transport.js';
import { Undeliverable } from '../../transport/undeliverable.js';
import { BrokerTransport } from '../kit/broker-transport.js';
import { type ConsumerPlan, Subscriptions } from '../kit/subscriptions.js';
import { Renewal } from '../kit/renewal.js';
import { SupervisedConnection } from '../kit/supervised-connection.js';
import type { ConsumerSession } from '../kit/supervised-consumer.js';
import type { GroupPlace, KafkaClient } from './client-port.js';
import { takenBy } from './codec.js';
import { MAX_DELAY_MS } from './delayed.js';
import { DelaySession } from './delays.js';
import { Groups } from './groups.js';
import { describeKafka } from './description.js';
import { KafkajsClient } from './kafkajs.js';
import { KafkaDialer, type Link } from './link.js';
import { Names } from './names.js';
import { type OperationParts, Operations } from './operations.js';
import { checkSubscriptionOptions, type Settings } from './options.js';
import { Publisher } from './publisher.js';
import { GroupReader } from './reader.js';
import { QueueSession } from './session.js';
import { Topics } from './topics.js';

const CONSUMERS_CLOSE_WITHIN_MS = 8_000;

/** The client's own object, for what this package does not do itself. Undefined while there is no connection. */
export interface KafkaNative {
  readonly kafka: unknown;
}

interface Parts {
  readonly environment: TransportEnvironment;
  readonly connection: SupervisedConnection<Link>;
  readonly topics: Topics;
  readonly subscriptions: Subscriptions<Link, ConsumerSession>;
  readonly publisher: Publisher;
  readonly sessions: Set<QueueSession>;
  /** Who has committed places. */
  readonly reading: Set<GroupReader | DelaySession>;
  readonly truncating: Renewal;
  readonly groups: Groups;
  readonly undeliverable: Undeliverable<string>;
}

/** Kafka: a queue is a group that reads a topic with routes, and a topic of its own for what is sent to it by its name. */
export class KafkaTransport extends BrokerTransport<Parts, Link> {
  readonly system = 'kafka';
  readonly host: string;
  readonly capabilities: TransportCapabilities;
  readonly queues: Operations;
  private readonly names: Names;

  constructor(private readonly settings: Settings) {
    super('Kafka');
    this.host = settings.host;
    this.names = new Names(settings.topic, settings.routes === 'topics');
    this.queues = new Operations(
      this.names,
      () => this.operationParts(),
      (question) => this.ask(question),
    );
    this.capabilities = {
      durable: true,
      retry: 'copy',
      wildcards: true,
      keyOrder: 'key',
      maxDelayMs: MAX_DELAY_MS,
      leaseMs: Infinity,
      keepsExclusive: true,
      maxBytes: settings.maxBytes,
    };
  }

  get description(): TransportDescription {
    return describeKafka(this.settings, this.names);
  }

  async declare(topology: Topology): Promise<void> {
    checkSubscriptionOptions(topology.native);
    await this.connected().subscriptions.declare(topology);
  }

  group(queue: string): ConsumerGroup | undefined {
    return this.assembled?.groups.report(this.names.group(queue));
  }

  native(): KafkaNative {
    return { kafka: this.assembled?.connection.current?.client.native };
  }

  private operationParts(): OperationParts | undefined {
    if (!this.assembled) return undefined;
    const { topics, environment, undeliverable, reading, subscriptions } = this.assembled;
    return {
      topics,
      clock: environment.clock,
      undeliverable,
      readers: () => [...reading].filter((one) => one instanceof GroupReader),
      warn: (message) => subscriptions.warn(message),
      declared: (queue) => subscriptions.declared.get(queue),
    };
  }

  protected assemble(environment: TransportEnvironment): Parts {
    const { settings, names } = this;
    const { clock, provision, service } = environment;
    const warn = (message: string, reason?: string): void =>
      environment.onEvent({ type: 'warning', message, ...(reason !== undefined && { reason }) });
    const reading = new Set<GroupReader | DelaySession>();
    const made = (anew: readonly string[]): void => {
      for (const one of [...reading]) if (one instanceof GroupReader) one.madeAnew(anew);
    };
    const topics = new Topics(settings, names, provision, clock, (message) => subscriptions.warn(message), made);
    const sessions = new Set<QueueSession>();
    const { sessionTimeout, compression, config } = settings;
    const client: KafkaClient = new KafkajsClient({ config: config(service), clock, sessionTimeout, compression });
    const dialer = new KafkaDialer(settings, client, (link) => subscriptions.redeclare(link));
    const connection: SupervisedConnection<Link> = new SupervisedConnection(dialer, environment, {
      opened: () => environment.onEvent({ type: 'connected' }),
      lost: (reason) => {
        if (!this.isClosing) environment.onEvent({ type: 'disconnected', reason });
        for (const session of [...sessions]) session.over(reason);
      },
      warning: warn,
    });
    const subscriptions: Subscriptions<Link, ConsumerSession> = new Subscriptions({
      connection,
      environment,
      closeWithinMs: CONSUMERS_CLOSE_WITHIN_MS,
      make: (link: Link, topology: Topology) => topics.make(link, topology),
      remove: (link: Link, queue: string) => topics.remove(link, queue),
    });
    const publisher = new Publisher(settings, names, environment, connection, topics, () => this.forward());
    const undeliverable = new Undeliverable<string>(environment);
    const truncating = new Renewal(environment, async () => {
      const link = connection.current;
      const committed = [...reading].flatMap((one) => one.committed);
      if (link) await topics.truncate(link, committed).catch(() => {});
    });
    truncating.start();
    const look = async (): Promise<void> => {
      const link = connection.current;
      if (!link || !names.ofRoutes) return;
      link.topics = await link.client.topics();
      for (const session of sessions) {
        const topology = subscriptions.declared.get(session.reading.queue);
        if (topology && !isSame(session.reader.topics, topics.readBy(link, topology)))
          session.renew('there are other topics');
      }
    };
    const groups = new Groups(
      clock,
      () => connection.current?.client,
      () => [...reading].filter((one) => one instanceof GroupReader),
      look,
    );
    groups.start();
    return {
      environment,
      connection,
      topics,
      subscriptions,
      publisher,
      sessions,
      reading,
      truncating,
      groups,
      undeliverable,
    };
  }

  protected send({ publisher }: Parts, batch: readonly Outgoing[], done: PublishDone): void {
    publisher.publish(batch, done);
  }

  protected consume(
    parts: Parts,
    options: SubscribeOptions,
    handlers: SubscribeHandlers,
  ): Promise<TransportSubscription> {
    const { subscriptions, topics, sessions, reading, environment, groups } = parts;
    const { topology, prefetch } = options;
    const { queue } = topology;
    const { clock } = environment;
    const topologyNow = (): Topology => subscriptions.declared.get(queue) ?? topology;
    subscriptions.declared.set(queue, topologyNow());
    let reader: GroupReader | undefined;
    const plan: ConsumerPlan<Link, ConsumerSession> = {
      queue,
      handlers,
      ended: () => void reader?.leave().then(() => reading.delete(reader!)),
      open: async (link) => {
        const now = topologyNow();
        await topics.make(link, now);
        const [group, readBy] = [this.names.group(queue), topics.readBy(link, now)];
        if (reader && !isSame(reader.topics, readBy)) await reader.leave();
        if (!reader || reader.ending !== undefined) {
          if (reader) reading.delete(reader);
          const takes = takenBy(now, this.names.queueTopic(queue));
          const warn = (message: string): void => subscriptions.warn(message);
          const rebalanced = (): void => groups.changed();
          const placesIn = async (topic: string): Promise<readonly GroupPlace[]> =>
            (parts.connection.current ?? link).client.committed(group, topic);
          reader = await GroupReader.join(link.client, {
            group,
            topics: readBy,
            clock,
            takes,
            prefetch,
            warn,
            rebalanced,
            placesIn,
          });
          reading.add(reader);
        }
        const session = new QueueSession(reader, {
          queue,
          queueTopic: this.names.queueTopic(queue),
          prefetch: Math.max(1, prefetch),
          clock,
          handlers,
        });
        sessions.add(session);
        void session.ended.then(() => sessions.delete(session));
        return session;
      },
    };
    return subscriptions.subscribe(plan);
  }

  protected override beginForwarding({
    subscriptions,
    topics,
    environment,
    publisher,
    undeliverable,
    reading,
  }: Parts): void {
    const { names } = this;
    subscriptions.startOnce(() => ({
      queue: names.delayGroup,
      handlers: { delivery() {}, lost() {}, state() {} },
      ended: () => {},
      open: async (link) => {
        const missing = await topics.provide(link, topics.delays);
        const there = topics.delays.filter((topic) => !missing.has(topic));
        const session = new DelaySession(link.client, there, { names, environment, publisher, undeliverable });
        reading.add(session);
        void session.ended.then(() => reading.delete(session));
        return session;
      },
    }));
  }

  protected ping({ client }: Link): Promise<void> {
    return client.ping();
  }

  protected async end({ subscriptions, connection, reading, truncating, groups }: Parts): Promise<void> {
    truncating.stop();
    groups.stop();
    await subscriptions.close();
    await Promise.all([...reading].map((one) => one.leave()));
    await connection.close();
  }
}

function isSame(topics: readonly string[], others: readonly string[]): boolean {
  return topics.length === others.length && topics.every((topic) => others.includes(topic));
}
