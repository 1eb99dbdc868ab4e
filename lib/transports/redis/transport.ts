import { randomUUID } from 'node:crypto';
import { TopologyMismatchError } from '../../errors/configuration-errors.js';
import type { MessagingError } from '../../errors/messaging-error.js';
import { PublishFailedError } from '../../errors/publish-errors.js';
import type { TransportCapabilities } from '../../transport/capabilities.js';
import type { Outgoing, PublishResult } from '../../transport/outgoing.js';
import type { Browser, QueueOperations } from '../../transport/queue-operations.js';
import type { Topology } from '../../transport/topology.js';
import type { PublishDone, SubscribeHandlers, SubscribeOptions, TransportEnvironment, TransportSubscription } from '../../transport/transport.js'; // prettier-ignore
import { BrokerTransport } from '../kit/broker-transport.js';
import { FormerQueues } from '../kit/former-queues.js';
import type { Renewal } from '../kit/renewal.js';
import { Subscriptions } from '../kit/subscriptions.js';
import { SupervisedConnection } from '../kit/supervised-connection.js';
import { describe } from './server.js';
import { QueueBrowser } from './browser.js';
import { Claims } from './claims.js';
import { type Client, type Link, RedisDialer } from './link.js';
import { Names } from './routes.js';
import type { Settings } from './options.js';
import { MAX_DELAY_MS, Publisher, type Source } from './publisher.js';
import { Queues } from './queues.js';
import { Routes } from './routes.js';
import { RedisSession } from './session.js';
import { Upkeep } from './upkeep.js';

/** How long a hung server may keep the consumers open. */
const CONSUMERS_CLOSE_WITHIN_MS = 4_000;

/** The client's own object, for what this package does not do itself. Undefined while there is no connection. */
export interface RedisNative {
  readonly client: Client | undefined;
}

interface Parts {
  readonly environment: TransportEnvironment;
  readonly connection: SupervisedConnection<Link>;
  readonly queues: Queues;
  readonly subscriptions: Subscriptions<Link, RedisSession>;
  readonly sessions: Map<RedisSession, string>;
  readonly publisher: Publisher;
  readonly upkeep: Upkeep;
  readonly looking: Renewal;
}

/** Queues in streams of Redis. */
export class RedisTransport extends BrokerTransport<Parts, Link> {
  readonly system = 'redis';
  readonly capabilities: TransportCapabilities;
  readonly queues: QueueOperations;
  private readonly names: Names;
  private isDurable = true;

  constructor(private readonly settings: Settings) {
    super('Redis');
    this.names = new Names(settings.prefix);
    const isDurable = (): boolean => this.isDurable;
    this.capabilities = {
      /** As far as is known: what the server says of itself at each connection. */
      get durable() {
        return isDurable();
      },
      retry: 'copy',
      wildcards: true,
      keyOrder: 'key',
      maxDelayMs: MAX_DELAY_MS,
      leaseMs: settings.lease,
      maxBytes: settings.maxBytes,
    };
    this.queues = {
      depth: (queue) => this.ask(async (link) => (await this.connected().queues.count(link, queue))?.ready),
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

  native(): RedisNative {
    return { client: this.assembled?.connection.current?.client };
  }

  protected assemble(environment: TransportEnvironment): Parts {
    const { settings, names } = this;
    const { clock, service, provision } = environment;
    const warn = (message: string, reason?: string): void =>
      environment.onEvent({ type: 'warning', message, ...(reason !== undefined && { reason }) });
    const sessions = new Map<RedisSession, string>();
    const routes = new Routes(names, settings.topic);
    const lost = (queue: string): void => warn(`The stream of the queue «${queue}» was gone from Redis, with all that was in it: by FLUSHALL, DEL, eviction, or a server that started without its data. It is made again, empty`); // prettier-ignore
    const queues = new Queues({ names, routes, topic: settings.topic, service, provision, clock, lost });
    const upkeep = new Upkeep(environment, Math.min(settings.lease / 3, 5_000), () => connection.current, queues);
    const dialer = new RedisDialer({
      settings,
      names,
      clock,
      service,
      notified: (woken) => wake(sessions, woken),
      surveyed: ({ durable, remarks }) => {
        this.isDurable = durable;
        upkeep.tell(remarks);
      },
      prepare: async (link) => {
        await publisher.resolve(link);
        await routes.load(link);
        await subscriptions.redeclare(link);
      },
    });
    const connection: SupervisedConnection<Link> = new SupervisedConnection(dialer, environment, {
      opened: () => environment.onEvent({ type: 'connected' }),
      lost: (reason) => {
        publisher.end();
        if (!this.isClosing) environment.onEvent({ type: 'disconnected', reason });
        for (const session of [...sessions.keys()]) session.end(reason);
      },
      warning: warn,
    });
    const publisher = new Publisher(settings, names, routes, environment, connection);
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
        await this.ours(() => queues.declare(link, declared.get(queue) ?? topology));
        if (connection.current !== link) return undefined;
        const session = this.session(link, queue, Math.max(1, prefetch), handlers);
        sessions.set(session, queue);
        void session.ended.then(() => sessions.delete(session));
        if (previous) await session.recover(previous);
        return session;
      },
    });
  }

  protected ping(link: Link): Promise<unknown> {
    return link.client.ping();
  }

  protected async end({ subscriptions, publisher, connection, upkeep, looking }: Parts): Promise<void> {
    looking.stop();
    await subscriptions.close();
    upkeep.stop();
    await publisher.close();
    await connection.close();
  }

  private session(link: Link, queue: string, prefetch: number, handlers: SubscribeHandlers): RedisSession {
    const { settings, names } = this;
    const { connection, environment, upkeep } = this.connected();
    const owner = `${environment.service}-${randomUUID()}`;
    return new RedisSession(new Claims(link, names, queue, owner, settings.lease), {
      queue,
      prefetch,
      leaseMs: settings.lease,
      pollMs: settings.pollInterval,
      clock: environment.clock,
      handlers,
      describe: (error) => connection.describe(error),
      move: (source, to) => this.move(source, to),
      lost: (count) => upkeep.tell([`${count} messages of «${queue}» were removed or replaced by somebody else before they were handled`], false), // prettier-ignore
    });
  }

  private move(source: Source, to: Outgoing): Promise<PublishResult> {
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
    const { names } = this;
    const { lease: leaseMs } = this.settings;
    const { clock } = this.connected().environment;
    return this.ask(async (link) => {
      const parts = { link, names, clock, leaseMs, move: this.move.bind(this) };
      const browser = await QueueBrowser.open(queue, parts, rest);
      if (browser) return browser;
      throw new TopologyMismatchError(`There is no queue «${queue}»`);
    });
  }

  /** An error of the client becomes ours, without credentials. */
  private async ours<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (typeof (error as MessagingError).retryable === 'boolean') throw error;
      throw new PublishFailedError(`Redis did not do it: ${this.settings.address.redact(describe(error))}`);
    }
  }
}

function wake(sessions: ReadonlyMap<RedisSession, string>, queues: readonly string[]): void {
  for (const [session, queue] of sessions) if (queues.includes(queue)) session.wake();
}
