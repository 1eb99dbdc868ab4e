import type { Pool } from 'pg';
import { TopologyMismatchError } from '../../errors/configuration-errors.js';
import type { MessagingError } from '../../errors/messaging-error.js';
import { PublishFailedError } from '../../errors/publish-errors.js';
import type { TransportCapabilities } from '../../transport/capabilities.js';
import type { Outgoing, PublishResult } from '../../transport/outgoing.js';
import type { Browser, QueueOperations } from '../../transport/queue-operations.js';
import type { Topology } from '../../transport/topology.js';
import type {
  PublishDone,
  SubscribeHandlers,
  SubscribeOptions,
  TransportEnvironment,
  TransportSubscription,
} from '../../transport/transport.js';
import { BrokerTransport } from '../kit/broker-transport.js';
import { FormerQueues } from '../kit/former-queues.js';
import type { Renewal } from '../kit/renewal.js';
import { Subscriptions } from '../kit/subscriptions.js';
import { SupervisedConnection } from '../kit/supervised-connection.js';
import { describe } from '../../clients/postgres-errors.js';
import { QueueBrowser } from './browser.js';
import { ClaimStatements } from './claims.js';
import { type Link, PING, PostgresDialer } from './link.js';
import type { PostgresDelivery } from './message.js';
import type { Settings } from './options.js';
import { MAX_DELAY_MS, Publisher } from './publisher.js';
import { Queues } from './queues.js';
import { PostgresSession } from './session.js';
import { Upkeep } from './upkeep.js';

/** How long a hung server may keep the consumers open. */
const CONSUMERS_CLOSE_WITHIN_MS = 4_000;
/** Where notifications do not come a consumer looks that much more often. */
const OFTENER = 10;
/** Between two looks after what has expired. */
const MOST_SWEEP_MS = 5_000;

/** The client's own objects, for what this package does not do itself. Undefined while there is no connection. */
export interface PostgresNative {
  readonly pool: Pool | undefined;
}

interface Parts {
  readonly environment: TransportEnvironment;
  readonly connection: SupervisedConnection<Link>;
  readonly queues: Queues;
  readonly subscriptions: Subscriptions<Link, PostgresSession>;
  readonly sessions: Set<Consuming>;
  readonly publisher: Publisher;
  readonly upkeep: Upkeep;
  readonly looking: Renewal;
}

interface Consuming {
  readonly number: number;
  readonly session: PostgresSession;
}

/** Queues in the tables of a PostgreSQL database. */
export class PostgresTransport extends BrokerTransport<Parts, Link> {
  readonly system = 'postgres';
  readonly capabilities: TransportCapabilities;
  readonly queues: QueueOperations;
  private readonly statements: ClaimStatements;

  constructor(private readonly settings: Settings) {
    super('PostgreSQL');
    this.statements = new ClaimStatements(settings.schema);
    this.capabilities = {
      durable: true,
      retry: 'copy',
      wildcards: true,
      keyOrder: 'key',
      maxDelayMs: MAX_DELAY_MS,
      leaseMs: settings.lease,
      maxBytes: settings.maxBytes,
    };
    this.queues = {
      depth: (queue) => this.ask((link) => this.connected().queues.depth(link, queue)),
      browse: (queue, rest) => this.browse(queue, rest as QueueBrowser | undefined),
      list: (scope) => this.ask((link) => this.connected().queues.list(link, scope)),
      unbind: (topology) => this.unbind(topology),
      compare: (topologies) => this.compare(topologies),
    };
  }

  get host(): string {
    return this.settings.address.host;
  }

  async declare(topology: Topology): Promise<void> {
    await this.connected().subscriptions.declare(topology);
  }

  native(): PostgresNative {
    return { pool: this.assembled?.connection.current?.pool };
  }

  protected assemble(environment: TransportEnvironment): Parts {
    const { settings } = this;
    const { clock, service, provision } = environment;
    const warn = (message: string, reason?: string): void =>
      environment.onEvent({ type: 'warning', message, ...(reason !== undefined && { reason }) });
    const sessions = new Set<Consuming>();
    const queues = new Queues(settings.schema, settings.topic, service, provision);
    const dialer = new PostgresDialer({
      settings,
      clock,
      service,
      provision,
      notified: (payload) => wake(sessions, new Set(payload.split(' ').map(Number))),
      prepare: (link) => subscriptions.redeclare(link),
    });
    const connection: SupervisedConnection<Link> = new SupervisedConnection(dialer, environment, {
      opened: () => environment.onEvent({ type: 'connected' }),
      lost: (reason) => {
        publisher.end();
        if (!this.isClosing) environment.onEvent({ type: 'disconnected', reason });
        for (const { session } of [...sessions]) session.end(reason);
      },
      warning: warn,
    });
    const upkeep = new Upkeep({
      schema: settings.schema,
      environment,
      everyMs: Math.min(settings.lease / 3, MOST_SWEEP_MS),
      current: () => connection.current,
      sweep: (link) => queues.sweep(link),
    });
    const told = (numbers: ReadonlySet<number>): void => {
      wake(sessions, numbers);
      upkeep.tell(numbers);
    };
    const publisher = new Publisher(settings, environment, connection, told);
    const subscriptions: Parts['subscriptions'] = new Subscriptions({
      connection,
      environment,
      closeWithinMs: CONSUMERS_CLOSE_WITHIN_MS,
      make: (link, topology) => this.ours(() => queues.declare(link, topology)),
      remove: (link, queue) => queues.remove(link, queue),
    });
    const former = new FormerQueues(
      (declared) => this.ask((link) => queues.unattended(link, declared)),
      (message) => subscriptions.warn(message),
    );
    const looking = former.lookLater(environment, () => new Set(subscriptions.declared.keys()));
    upkeep.start();
    return { environment, connection, queues, subscriptions, sessions, publisher, upkeep, looking };
  }

  protected send({ publisher }: Parts, batch: readonly Outgoing[], done: PublishDone): void {
    publisher.publish(batch, done);
  }

  protected consume(
    { subscriptions, connection, queues, sessions }: Parts,
    { topology, prefetch }: SubscribeOptions,
    handlers: SubscribeHandlers,
  ): Promise<TransportSubscription> {
    const { queue } = topology;
    const { declared } = subscriptions;
    declared.set(queue, declared.get(queue) ?? topology);
    return subscriptions.subscribe({
      queue,
      handlers,
      givesBackAtOnce: true,
      ended: () => {},
      open: async (link, previous) => {
        const number = await this.ours(() => queues.declare(link, declared.get(queue) ?? topology));
        if (connection.current !== link) return undefined;
        const session = this.session(link, queue, number, Math.max(1, prefetch), handlers);
        const consuming = { number, session };
        sessions.add(consuming);
        void session.ended.then(() => sessions.delete(consuming));
        if (previous) await session.recover(previous);
        return session;
      },
    });
  }

  protected ping(link: Link): Promise<unknown> {
    return link.query(PING);
  }

  protected async end({ subscriptions, publisher, connection, upkeep, looking }: Parts): Promise<void> {
    looking.stop();
    await subscriptions.close();
    upkeep.stop();
    await publisher.close();
    await connection.close();
  }

  private session(
    link: Link,
    queue: string,
    number: number,
    prefetch: number,
    handlers: SubscribeHandlers,
  ): PostgresSession {
    const { settings, statements } = this;
    const { connection, upkeep, sessions, environment } = this.connected();
    return new PostgresSession(link, {
      queue,
      number,
      prefetch,
      leaseMs: settings.lease,
      pollMs: link.listens ? settings.pollInterval : Math.max(10, settings.pollInterval / OFTENER),
      clock: environment.clock,
      handlers,
      statements,
      describe: (error) => connection.describe(error),
      move: (source, to) => this.move(source, to),
      freed: (one) => {
        wake(sessions, new Set([one]));
        upkeep.tell([one]);
      },
      removed: (count) => upkeep.gone(count),
    });
  }

  private move(source: { queue: number; delivery: PostgresDelivery }, to: Outgoing): Promise<PublishResult> {
    return new Promise((resolve) => this.connected().publisher.publish([to], (_, result) => resolve(result), source));
  }

  private async unbind(topology: Topology): Promise<void> {
    const { subscriptions, queues } = this.connected();
    subscriptions.declared.set(topology.queue, { ...topology, patterns: [] });
    await this.ask((link) => queues.unbind(link, topology));
  }

  /** While there is no connection, and for a passing reason, it tells nothing: the declaration will. */
  private async compare(topologies: readonly Topology[]): Promise<void> {
    const { connection, queues } = this.connected();
    const link = connection.current;
    if (!link) return;
    await queues.compare(link, topologies).catch((error: unknown) => {
      if (error instanceof TopologyMismatchError) throw error;
    });
  }

  private browse(queue: string, rest: QueueBrowser | undefined): Promise<Browser> {
    const { settings, statements } = this;
    const { schema, lease: leaseMs } = settings;
    const { queues, upkeep, environment } = this.connected();
    return this.ask(async (link) => {
      const found = await queues.find(link, queue);
      if (!found) throw new TopologyMismatchError(`There is no queue «${queue}»`);
      const move = this.move.bind(this);
      const freed = (number: number): void => upkeep.tell([number]);
      const { clock } = environment;
      return QueueBrowser.open(queue, found.id, { link, statements, schema, clock, leaseMs, move, freed }, rest);
    });
  }

  /** An error of the client becomes ours, without credentials. */
  private async ours<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (typeof (error as MessagingError).retryable === 'boolean') throw error;
      throw new PublishFailedError(`PostgreSQL did not do it: ${this.settings.address.redact(describe(error))}`);
    }
  }
}

function wake(sessions: ReadonlySet<Consuming>, numbers: ReadonlySet<number>): void {
  for (const { number, session } of sessions) if (numbers.has(number)) session.wake();
}
