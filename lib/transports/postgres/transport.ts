import type { Pool } from 'pg';
import { TopologyMismatchError } from '../../errors/configuration-errors.js';
import type { TransportCapabilities } from '../../transport/capabilities.js';
import type { TransportDescription } from '../../transport/description.js';
import type { Browser, QueueOperations } from '../../transport/queue-operations.js';
import type { TransportEnvironment } from '../../transport/transport.js';
import { type Attachment, type LinkParts, SingleConnectionTransport } from '../kit/single-connection-transport.js';
import { QueueBrowser } from './browser.js';
import { ClaimStatements } from './claims.js';
import { type Link, PING, PostgresDialer } from './link.js';
import type { Settings } from './options.js';
import { MAX_DELAY_MS, Publisher } from './publisher.js';
import { Queues } from './queues.js';
import { PostgresSession } from './session.js';
import { Upkeep } from './upkeep.js';

/** Where notifications do not come a consumer looks that much more often. */
const OFTENER = 10;
/** Between two looks after what has expired. */
const MOST_SWEEP_MS = 5_000;

/** The client's own objects, for what this package does not do itself. Undefined while there is no connection. */
export interface PostgresNative {
  readonly pool: Pool | undefined;
}

interface Own {
  readonly queues: Queues;
  readonly publisher: Publisher;
  readonly upkeep: Upkeep;
}

/** Queues in the tables of a PostgreSQL database. */
export class PostgresTransport extends SingleConnectionTransport<Own, Link, PostgresSession, number> {
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

  /** AsyncAPI has no binding for it: the schema whose tables hold a queue stands beside the queue. */
  get description(): TransportDescription {
    const { schema } = this.settings;
    return { protocol: 'postgres', queue: () => ({ details: { schema } }) };
  }

  native(): PostgresNative {
    return { pool: this.assembled?.connection.current?.pool };
  }

  protected dialer({ clock, service, provision }: TransportEnvironment): PostgresDialer {
    return new PostgresDialer({
      settings: this.settings,
      clock,
      service,
      provision,
      notified: (payload) => this.wake(new Set(payload.split(' ').map(Number))),
      prepare: (link) => this.connected().subscriptions.redeclare(link),
    });
  }

  protected build({ environment, connection }: LinkParts<Link, PostgresSession, number>): Own {
    const { settings } = this;
    const queues = new Queues(settings.schema, settings.topic, environment.service, environment.provision);
    const publisher = new Publisher(settings, environment, connection, (numbers) => this.tell(numbers));
    const upkeep = new Upkeep({
      schema: settings.schema,
      environment,
      everyMs: Math.min(settings.lease / 3, MOST_SWEEP_MS),
      current: () => connection.current,
      sweep: (link) => queues.sweep(link),
    });
    return { queues, publisher, upkeep };
  }

  protected attach({ link, made: number, queue, prefetch, handlers }: Attachment<Link, number>): PostgresSession {
    const { settings, statements } = this;
    const { connection, environment, upkeep, publisher } = this.connected();
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
      publisher,
      freed: (one) => this.tell(new Set([one])),
      removed: (count) => upkeep.gone(count),
    });
  }

  protected ping(link: Link): Promise<unknown> {
    return link.query(PING);
  }

  /** These queues have got something: for consumers here, and in other processes. */
  private tell(numbers: ReadonlySet<number>): void {
    this.wake(numbers);
    this.connected().upkeep.tell(numbers);
  }

  private wake(numbers: ReadonlySet<number>): void {
    for (const session of this.connected().subscriptions.sessions) if (numbers.has(session.number)) session.wake();
  }

  private browse(queue: string, rest: QueueBrowser | undefined): Promise<Browser> {
    const { settings, statements } = this;
    const { schema, lease: leaseMs } = settings;
    const { queues, upkeep, publisher, environment } = this.connected();
    return this.ask(async (link) => {
      const found = await queues.find(link, queue);
      if (!found) throw new TopologyMismatchError(`There is no queue «${queue}»`);
      const freed = (number: number): void => upkeep.tell([number]);
      const { clock } = environment;
      const ready = (name: string): Promise<number | undefined> => queues.depth(link, name);
      const parts = { link, statements, schema, clock, leaseMs, publisher, freed, ready };
      return QueueBrowser.open(queue, found.id, parts, rest);
    });
  }
}
