import type { ChannelModel } from 'amqplib';
import { NotConnectedError } from '../../errors/publish-errors.js';
import type { TransportCapabilities } from '../../transport/capabilities.js';
import type { Outgoing } from '../../transport/outgoing.js';
import type { QueueOperations } from '../../transport/queue-operations.js';
import type { Partitioning, Topology } from '../../transport/topology.js';
import type {
  PublishDone,
  SubscribeHandlers,
  SubscribeOptions,
  Transport,
  TransportEnvironment,
  TransportSubscription,
} from '../../transport/transport.js';
import { withChannel } from './amqplib.js';
import type { Bound } from '../kit/answered.js';
import { describe } from './broker-errors.js';
import { QueueBrowser, queueDepth } from './browser.js';
import { consumerCounts } from './consumer-counts.js';
import { ConsumingSide } from './consuming-side.js';
import { MAX_DELAY_MS } from './delay-path.js';
import { RabbitmqForwarder } from './forwarder.js';
import { namesOf, type Names } from './names.js';
import { splitOf, type Settings } from './options.js';
import { PublishingSide } from './publishing-side.js';
import { Renewal } from '../kit/renewal.js';

/** amqplib's connections, for what this package does not do itself. Undefined while there is none. */
export interface RabbitmqNative {
  readonly publishing: ChannelModel | undefined;
  readonly consuming: ChannelModel | undefined;
}

/** RabbitMQ's default for how long a delivery may be unsettled before its channel is closed. */
const ACK_TIMEOUT_MS = 1_800_000;

/** What exists from `connect` on. */
interface Sides {
  readonly publishing: PublishingSide;
  readonly consuming: ConsumingSide;
  readonly forwarder: RabbitmqForwarder;
  readonly renewal: Renewal;
}

/** RabbitMQ over two supervised connections, so that a blocked publisher never starves acks. */
export class RabbitmqTransport implements Transport {
  readonly system = 'rabbitmq';
  readonly capabilities: TransportCapabilities;
  readonly queues: QueueOperations;
  readonly partitioning: Partitioning;
  private readonly names: Names;
  private sides?: Sides;
  private closing?: Promise<void>;

  constructor(private readonly settings: Settings) {
    this.names = namesOf(settings.exchange);
    this.capabilities = {
      durable: true,
      retry: 'copy',
      wildcards: true,
      keyOrder: 'queue',
      maxDelayMs: MAX_DELAY_MS,
      leaseMs: Infinity,
      ackTimeoutMs: ACK_TIMEOUT_MS,
      maxBytes: settings.maxBytes,
    };
    this.queues = {
      depth: (queue) => this.ask((model, bound) => queueDepth(model, bound, queue)),
      browse: (queue, rest) =>
        this.ask((model, bound) =>
          QueueBrowser.open(model, bound, queue, this.names, rest as QueueBrowser | undefined),
        ),
      unbind: async (topology) => this.connected().consuming.unbind(topology),
      compare: async (topologies) => this.connected().consuming.compare(topologies),
      undeliverable: () => this.sides?.forwarder.undeliverable.count ?? 0,
    };
    this.partitioning = {
      option: 'rabbitmq.partitions',
      splitBy: (native) => splitOf(native, settings),
      consumers: (queues) => this.ask((model, bound) => consumerCounts(model, bound, queues)),
    };
  }

  get host(): string {
    return this.sides?.publishing.connection.host ?? this.settings.addresses[0].host;
  }

  async connect(environment: TransportEnvironment): Promise<void> {
    const consuming = new ConsumingSide(this.settings, this.names, environment);
    const publishing = new PublishingSide(
      this.settings,
      this.names,
      environment,
      () => this.forward(),
      () => consuming.renew(),
      consuming.topologies.first,
    );
    const forwarder = new RabbitmqForwarder(publishing.publisher, environment);
    const renewal = new Renewal(environment, async () => {
      await Promise.all([publishing.renew(), consuming.renew()]);
    });
    this.sides = { publishing, consuming, forwarder, renewal };
    if (environment.provision) renewal.start();
    try {
      await Promise.all([publishing.start(), consuming.connection.start()]);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async declare(topology: Topology): Promise<void> {
    await this.connected().consuming.declare(topology);
  }

  publish(batch: readonly Outgoing[], done: PublishDone): void {
    if (this.sides) return this.sides.publishing.publisher.publish(batch, done);
    const error = new NotConnectedError('Not connected to RabbitMQ: connect() was not called');
    queueMicrotask(() => batch.forEach((outgoing) => done(outgoing, { status: 'failed', error })));
  }

  async subscribe(options: SubscribeOptions, handlers: SubscribeHandlers): Promise<TransportSubscription> {
    const { consuming } = this.connected();
    this.forward();
    return consuming.subscribe(options, handlers);
  }

  async probe(): Promise<void> {
    await this.ask((model, bound) => withChannel(model, bound, async () => {}));
  }

  native(): RabbitmqNative {
    const { publishing, consuming } = this.sides ?? {};
    return { publishing: publishing?.connection.current, consuming: consuming?.connection.current };
  }

  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    this.sides?.renewal.stop();
    await Promise.all([this.sides?.publishing.close(), this.sides?.consuming.close()]);
  }

  /** Whoever consumes or delays also looks after what is due and has to be routed. */
  private forward(): void {
    const { consuming, forwarder } = this.connected();
    if (!this.closing) consuming.forward(forwarder);
  }

  /** Asks the broker something, on either connection; an error of amqplib becomes ours, without credentials. */
  private async ask<T>(question: (model: ChannelModel, bound: Bound) => Promise<T>): Promise<T> {
    const { publishing, consuming } = this.connected();
    const model = consuming.connection.current ?? publishing.connection.current;
    if (!model) throw new NotConnectedError('Not connected to RabbitMQ');
    try {
      return await question(model, consuming.bound);
    } catch (error) {
      throw new NotConnectedError(`RabbitMQ did not answer: ${consuming.connection.redact(describe(error))}`);
    }
  }

  private connected(): Sides {
    if (!this.sides) throw new NotConnectedError('Not connected to RabbitMQ: connect() was not called');
    return this.sides;
  }
}
