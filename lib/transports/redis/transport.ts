import { randomUUID } from 'node:crypto';
import { TopologyMismatchError } from '../../errors/configuration-errors.js';
import type { TransportCapabilities } from '../../transport/capabilities.js';
import type { TransportDescription } from '../../transport/description.js';
import type { Browser, QueueOperations } from '../../transport/queue-operations.js';
import type { TransportEnvironment } from '../../transport/transport.js';
import { type Attachment, type LinkParts, SingleConnectionTransport } from '../kit/single-connection-transport.js';
import { QueueBrowser } from './browser.js';
import { Claims } from './claims.js';
import { type Client, type Link, RedisDialer } from './link.js';
import type { Settings } from './options.js';
import { MAX_DELAY_MS, Publisher } from './publisher.js';
import { Queues } from './queues.js';
import { Names, Routes } from './routes.js';
import { type Survey, surveyOf } from './server.js';
import { RedisSession } from './session.js';
import { Upkeep } from './upkeep.js';

/** The client's own object, for what this package does not do itself. Undefined while there is no connection. */
export interface RedisNative {
  readonly client: Client | undefined;
}

interface Own {
  readonly routes: Routes;
  readonly queues: Queues;
  readonly publisher: Publisher;
  readonly upkeep: Upkeep;
}

/** Queues in streams of Redis. */
export class RedisTransport extends SingleConnectionTransport<Own, Link, RedisSession, void> {
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

  get server(): Readonly<Record<string, string>> | undefined {
    return this.assembled?.upkeep.server;
  }

  /** AsyncAPI has no binding for what is used of Redis: the key of a queue's stream stands beside the queue. */
  get description(): TransportDescription {
    const protocol = this.settings.address.config().tls ? 'rediss' : 'redis';
    return { protocol, queue: (_, name) => ({ details: { stream: this.names.queue(name)[0] } }) };
  }

  native(): RedisNative {
    return { client: this.assembled?.connection.current?.client };
  }

  protected dialer({ clock, service }: TransportEnvironment): RedisDialer {
    const { settings, names } = this;
    return new RedisDialer({
      settings,
      names,
      clock,
      service,
      notified: (queues) => this.wake(queues),
      surveyed: (survey) => this.surveyed(survey),
      prepare: async (link) => {
        const { publisher, routes, subscriptions } = this.connected();
        await publisher.resolve(link);
        await routes.load(link);
        await subscriptions.redeclare(link);
      },
    });
  }

  protected build({ environment, connection, warn }: LinkParts<Link, RedisSession, void>): Own {
    const { settings, names } = this;
    const { clock, service, provision } = environment;
    const routes = new Routes(names, settings.topic);
    const lost = (queue: string): void =>
      warn(
        `The stream of the queue «${queue}» was gone from Redis, with all that was in it: by FLUSHALL, DEL, eviction, or a server that started without its data. It is made again, empty`,
      );
    const queues = new Queues({ names, routes, topic: settings.topic, service, provision, clock, lost });
    const publisher = new Publisher(settings, names, routes, environment, connection);
    const upkeep = new Upkeep(
      environment,
      Math.min(settings.lease / 3, 5_000),
      () => connection.current,
      queues,
      async ({ client }) => this.surveyed(await surveyOf(client, settings)),
    );
    return { routes, queues, publisher, upkeep };
  }

  protected attach({ link, queue, prefetch, handlers }: Attachment<Link, void>): RedisSession {
    const { settings, names } = this;
    const { connection, environment, upkeep, publisher } = this.connected();
    const owner = `${environment.service}-${randomUUID()}`;
    return new RedisSession(new Claims(link, names, queue, owner, settings.lease), {
      queue,
      prefetch,
      leaseMs: settings.lease,
      pollMs: settings.pollInterval,
      clock: environment.clock,
      handlers,
      describe: (error) => connection.describe(error),
      publisher,
      lost: (count) =>
        upkeep.tell(
          [`${count} messages of «${queue}» were removed or replaced by somebody else before they were handled`],
          false,
        ),
    });
  }

  protected ping(link: Link): Promise<unknown> {
    return link.client.ping();
  }

  private surveyed(survey: Survey): void {
    this.isDurable = survey.durable;
    this.connected().upkeep.surveyed(survey);
  }

  private wake(queues: readonly string[]): void {
    for (const session of this.connected().subscriptions.sessions) if (queues.includes(session.queue)) session.wake();
  }

  private browse(queue: string, rest: QueueBrowser | undefined): Promise<Browser> {
    const { names } = this;
    const { lease: leaseMs } = this.settings;
    const { publisher, environment, queues } = this.connected();
    return this.ask(async (link) => {
      const ready = async (name: string): Promise<number | undefined> => (await queues.count(link, name))?.ready;
      const parts = { link, names, clock: environment.clock, leaseMs, publisher, ready };
      const browser = await QueueBrowser.open(queue, parts, rest);
      if (browser) return browser;
      throw new TopologyMismatchError(`There is no queue «${queue}»`);
    });
  }
}
