import type { JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { TopologyMismatchError } from '../../errors/configuration-errors.js';
import type { TransportCapabilities } from '../../transport/capabilities.js';
import type { TransportDescription } from '../../transport/description.js';
import type { Outgoing } from '../../transport/outgoing.js';
import type { QueueOperations } from '../../transport/queue-operations.js';
import type { Topology } from '../../transport/topology.js';
import type {
  PublishDone,
  SubscribeHandlers,
  SubscribeOptions,
  TransportEnvironment,
  TransportSubscription,
} from '../../transport/transport.js';
import { BrokerTransport } from '../kit/broker-transport.js';
import type { Renewal } from '../kit/renewal.js';
import { SupervisedConnection } from '../kit/supervised-connection.js';
import { QueueBrowser } from './browser.js';
import { ConsumingSide } from './consuming-side.js';
import { DelayedStream } from './delayed-stream.js';
import { depthOf } from './depth.js';
import { describeNats } from './description.js';
import { NatsDialer } from './dialer.js';
import { formerQueues } from './former-queues.js';
import { NatsForwarder } from './forwarder.js';
import { type Link, openLink } from './link.js';
import { namesOf, type Names } from './names.js';
import type { Settings } from './options.js';
import { loadNats } from './peers.js';
import { listQueues } from './queue-list.js';
import { MAX_DELAY_MS, Publisher } from './publisher.js';
import { Queues } from './queues.js';
import { Streams } from './streams.js';

/** The client's own objects, for what this package does not do itself. Undefined while there is no connection. */
export interface NatsNative {
  readonly connection: NatsConnection | undefined;
  readonly manager: JetStreamManager | undefined;
}

interface NatsParts {
  readonly connection: SupervisedConnection<Link>;
  readonly queues: Queues;
  readonly consuming: ConsumingSide;
  readonly publisher: Publisher;
  readonly forwarder: NatsForwarder;
  readonly looking: Renewal;
}

/** NATS JetStream over one supervised connection. */
export class NatsTransport extends BrokerTransport<NatsParts, Link> {
  readonly system = 'nats';
  readonly capabilities: TransportCapabilities;
  readonly queues: QueueOperations;
  private readonly names: Names;

  constructor(private readonly settings: Settings) {
    super('NATS');
    this.names = namesOf(settings.stream);
    this.capabilities = {
      durable: settings.storage === 'file',
      retry: 'copy',
      wildcards: true,
      adopts: true,
      keyOrder: 'none',
      maxDelayMs: MAX_DELAY_MS,
      leaseMs: settings.ackWait,
      maxBytes: settings.maxBytes,
    };
    this.queues = {
      depth: (queue) => this.depth(queue),
      browse: (queue, rest) => this.browse(queue, rest as QueueBrowser | undefined),
      list: (scope) => this.ask((link) => listQueues(link, scope, this.names)),
      unbind: (topology) => this.unbind(topology),
      compare: (topologies) => this.compare(topologies),
      undeliverable: () => this.assembled?.forwarder.undeliverable.count ?? 0,
    };
  }

  get description(): TransportDescription {
    return describeNats(this.names);
  }

  get host(): string {
    return this.settings.address.host;
  }

  async declare(topology: Topology): Promise<void> {
    const { consuming, publisher } = this.connected();
    await consuming.subscriptions.declare(topology);
    publisher.forgetRoutes();
  }

  native(): NatsNative {
    const link = this.assembled?.connection.current;
    return { connection: link?.connection, manager: link?.manager };
  }

  protected send({ publisher }: NatsParts, batch: readonly Outgoing[], done: PublishDone): void {
    publisher.publish(batch, done);
  }

  protected consume(
    { consuming }: NatsParts,
    options: SubscribeOptions,
    handlers: SubscribeHandlers,
  ): Promise<TransportSubscription> {
    return consuming.subscribe(options, handlers);
  }

  protected override beginForwarding({ consuming, forwarder }: NatsParts): void {
    consuming.forward(forwarder);
  }

  protected ping({ connection }: Link): Promise<void> {
    return connection.flush();
  }

  protected async end({ consuming, publisher, connection, looking }: NatsParts): Promise<void> {
    looking.stop();
    await consuming.subscriptions.close();
    await Promise.all([publisher.close(), connection.close()]);
  }

  private async unbind(topology: Topology): Promise<void> {
    const { consuming, publisher } = this.connected();
    await this.ask((link) => consuming.unbind(link, topology));
    publisher.forgetRoutes();
  }

  /** While there is no connection, and for a passing reason, nothing is told: the declaration will. */
  private async compare(topologies: readonly Topology[]): Promise<void> {
    const { connection, queues } = this.connected();
    const link = connection.current;
    if (!link) return;
    await queues.compare(link, topologies).catch((error: unknown) => {
      if (error instanceof TopologyMismatchError) throw error;
    });
  }

  private async depth(queue: string): Promise<number | undefined> {
    const { queues } = this.connected();
    return this.ask(async (link) => {
      const found = await queues.find(link, queue);
      return found && depthOf(link, found, this.names);
    });
  }

  private async browse(queue: string, rest: QueueBrowser | undefined): Promise<QueueBrowser> {
    const { queues, connection, consuming } = this.connected();
    const { names } = this;
    const redact = (text: string): string => connection.redact(text);
    return this.ask((link) =>
      QueueBrowser.open(
        queue,
        { link, names, queues, redact, warn: (message) => consuming.subscriptions.warn(message) },
        rest,
      ),
    );
  }

  protected assemble(environment: TransportEnvironment): NatsParts {
    const { settings, names } = this;
    const { provision } = environment;
    const warn = (message: string, reason?: string): void =>
      environment.onEvent({ type: 'warning', message, ...(reason !== undefined && { reason }) });
    const redact = (text: string): string => settings.address.redact(text);
    const streams = new Streams(names, settings, provision, environment.clock, redact, warn);
    const delayed = new DelayedStream(names, redact);
    const dialer = new NatsDialer(settings.address, environment.service, environment.clock, async (opened) => {
      const link = await openLink(opened, await loadNats());
      await streams.prepare(link);
      await consuming.subscriptions.redeclare(link);
      return link;
    });
    const connection: SupervisedConnection<Link> = new SupervisedConnection(dialer, environment, {
      opened: (link) => {
        publisher.open(link);
        environment.onEvent({ type: 'connected' });
      },
      lost: (reason) => {
        publisher.end(reason);
        if (!this.isClosing) environment.onEvent({ type: 'disconnected', reason });
        consuming.disconnected(reason);
      },
      warning: warn,
    });
    const { service, clock } = environment;
    const queues = new Queues(names, settings, streams, delayed, provision, service, clock, redact, warn);
    const consuming = new ConsumingSide(settings, names, environment, connection, queues, delayed);
    const publisher = new Publisher(names, settings, environment, connection, streams, delayed, () => this.forward());
    const forwarder = new NatsForwarder(publisher, environment);
    const { subscriptions } = consuming;
    const former = formerQueues(service, names, connection, (message) => subscriptions.warn(message));
    const looking = former.lookLater(environment, () => new Set(subscriptions.declared.keys()));
    return { connection, queues, consuming, publisher, forwarder, looking };
  }
}
