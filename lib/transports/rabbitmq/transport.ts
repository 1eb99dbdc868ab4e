import type { ChannelModel } from 'amqplib';
import type { TransportCapabilities } from '../../transport/capabilities.js';
import type { TransportDescription } from '../../transport/description.js';
import type { Outgoing } from '../../transport/outgoing.js';
import { publishAll } from '../../transport/publish-all.js';
import type { QueueOperations } from '../../transport/queue-operations.js';
import type { Partitioning, Topology } from '../../transport/topology.js';
import type {
  PublishDone,
  SubscribeHandlers,
  SubscribeOptions,
  TransportEnvironment,
  TransportSubscription,
} from '../../transport/transport.js';
import type { AnswerTimeout } from '../../clock/answered.js';
import { BrokerTransport } from '../kit/broker-transport.js';
import { Renewal } from '../kit/renewal.js';
import { withChannel } from './connection/amqplib.js';
import { QueueBrowser, queueDepth } from './queues/browser.js';
import type { RabbitmqConnection } from './connection/connection.js';
import { consumerCounts } from './queues/consumer-counts.js';
import { ConsumingSide } from './consuming/consuming-side.js';
import { DeclaredRecord, recordQueue } from './queues/declared-record.js';
import { MAX_DELAY_MS } from './topology/delay-path.js';
import { describeRabbitmq } from './description.js';
import { RabbitmqForwarder } from './publishing/forwarder.js';
import { namesOf, type Names } from './names.js';
import { type Settings, splitOf } from './options.js';
import { Ownership } from './consuming/ownership.js';
import { RabbitmqProvisioning } from './provisioning/provisioning.js';
import { PublishingSide } from './publishing/publishing-side.js';
import { listQueues } from './topology/queue-list.js';
import { RabbitmqReplies } from './consuming/replies.js';
import { TELEMETRY_NAMES } from './telemetry-names.js';

/** amqplib's connections, for what this package does not do itself. Undefined while there is none. */
export interface RabbitmqNative {
  readonly publishing: ChannelModel | undefined;
  readonly consuming: ChannelModel | undefined;
}

/** RabbitMQ's default for how long a delivery may be unsettled before its channel is closed. */
const ACK_TIMEOUT_MS = 1_800_000;

interface RabbitmqParts {
  readonly service: string;
  readonly connection: RabbitmqConnection;
  readonly publishing: PublishingSide;
  readonly consuming: ConsumingSide;
  readonly forwarder: RabbitmqForwarder;
  readonly renewal: Renewal;
}

/** RabbitMQ over two supervised connections, so that a blocked publisher never starves acks. */
export class RabbitmqTransport extends BrokerTransport<RabbitmqParts, ChannelModel> {
  readonly system = 'rabbitmq';
  readonly telemetryNames = TELEMETRY_NAMES;
  readonly capabilities: TransportCapabilities;
  readonly queues: QueueOperations;
  readonly partitioning: Partitioning;
  readonly provisioning: RabbitmqProvisioning;
  readonly replies: RabbitmqReplies;
  private readonly names: Names;

  constructor(private readonly settings: Settings) {
    super('RabbitMQ');
    const names = namesOf(settings.exchange);
    this.names = names;
    this.replies = new RabbitmqReplies(
      names,
      async (outgoing) => (await publishAll(this, [outgoing]))[0],
      () => this.assembled?.consuming.bound,
    );
    this.capabilities = {
      durable: true,
      retry: 'copy',
      wildcards: true,
      adopts: true,
      keyOrder: 'queue',
      maxDelayMs: MAX_DELAY_MS,
      leaseMs: Infinity,
      ackTimeoutMs: ACK_TIMEOUT_MS,
      ackTimeoutName: 'consumer_timeout',
      maxBytes: settings.maxBytes,
    };
    this.queues = {
      depth: (queue) => this.ask((model) => queueDepth(model, this.bound, queue)),
      browse: (queue, rest) =>
        this.ask((model) => QueueBrowser.open(model, this.bound, queue, names, rest as QueueBrowser | undefined)),
      list: (scope) =>
        this.ask((model) =>
          listQueues(
            model,
            this.bound,
            scope,
            names,
            (service) => new DeclaredRecord(recordQueue(service), {}, { current: model }, this.bound),
          ),
        ),
      unbind: async (topology) => this.connected().consuming.unbind(topology),
      compare: async (topologies) => this.connected().consuming.compare(topologies),
      undeliverable: () => this.assembled?.forwarder.undeliverable.count ?? 0,
    };
    this.partitioning = {
      option: 'rabbitmq.partitions',
      splitBy: (native) => splitOf(native, settings),
      consumers: (queues) => this.ask((model) => consumerCounts(model, this.bound, queues)),
    };
    this.provisioning = new RabbitmqProvisioning(() => {
      const { service, connection, publishing } = this.connected();
      const redact = (text: string): string => connection.redact(text);
      // What one of the two connections owns the other one is refused.
      let owner: ChannelModel | undefined;
      const current = (): ChannelModel | undefined => {
        const open = [connection.current, publishing.connection.current].filter((one) => one !== undefined);
        return (owner = open.find((one) => one === owner) ?? open[0]);
      };
      const ownership = new Ownership({ redact, get current() { return current(); } }, this.bound); // prettier-ignore
      return { names, settings, service, bound: this.bound, ask: (question) => this.ask(question), redact, ownership };
    });
  }

  get description(): TransportDescription {
    return describeRabbitmq(this.settings, this.names);
  }

  get host(): string {
    return this.assembled?.publishing.connection.host ?? this.settings.addresses[0].host;
  }

  async declare(topology: Topology): Promise<void> {
    await this.connected().consuming.declare(topology);
  }

  native(): RabbitmqNative {
    const { publishing, consuming } = this.assembled ?? {};
    return { publishing: publishing?.connection.current, consuming: consuming?.connection.current };
  }

  protected assemble(environment: TransportEnvironment): RabbitmqParts {
    const consuming = new ConsumingSide(this.settings, this.names, environment, this.replies);
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
    const { service } = environment;
    return { service, connection: consuming.connection, publishing, consuming, forwarder, renewal };
  }

  protected override async start(
    { publishing, consuming, renewal }: RabbitmqParts,
    { provision }: TransportEnvironment,
  ): Promise<void> {
    if (provision) renewal.start();
    await Promise.all([publishing.start(), consuming.connection.start()]);
  }

  protected send({ publishing }: RabbitmqParts, batch: readonly Outgoing[], done: PublishDone): void {
    publishing.publisher.publish(batch, done);
  }

  protected consume(
    { consuming }: RabbitmqParts,
    options: SubscribeOptions,
    handlers: SubscribeHandlers,
  ): Promise<TransportSubscription> {
    return consuming.subscribe(options, handlers);
  }

  protected override beginForwarding({ consuming, forwarder }: RabbitmqParts): void {
    consuming.forward(forwarder);
  }

  protected override others({ publishing }: RabbitmqParts): [RabbitmqConnection] {
    return [publishing.connection];
  }

  protected ping(model: ChannelModel): Promise<void> {
    return withChannel(model, this.bound, async () => {});
  }

  protected async end({ publishing, consuming, renewal }: RabbitmqParts): Promise<void> {
    renewal.stop();
    await Promise.all([publishing.close(), consuming.close()]);
  }

  private get bound(): AnswerTimeout {
    return this.connected().consuming.bound;
  }
}
