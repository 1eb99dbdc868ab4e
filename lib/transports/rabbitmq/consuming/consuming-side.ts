import type { ChannelModel } from 'amqplib';
import type { MessagingError } from '../../../errors/messaging-error.js';
import type { Topology } from '../../../transport/topology.js';
import type {
  SubscribeHandlers,
  SubscribeOptions,
  TransportEnvironment,
  TransportSubscription,
} from '../../../transport/transport.js';
import type { AnswerTimeout } from '../../../clock/answered.js';
import type { FormerQueues } from '../../kit/former-queues.js';
import { type ConsumerPlan, Subscriptions } from '../../kit/subscriptions.js';
import { withChannel } from '../connection/amqplib.js';
import { RabbitmqConnection } from '../connection/connection.js';
import { ChannelSession, type SessionOptions } from './consumer-session.js';
import { DeclaredRecord, recordQueue } from '../queues/declared-record.js';
import { formerQueues } from '../topology/former-queues.js';
import { FormerBindings } from '../topology/former-bindings.js';
import type { Names } from '../names.js';
import type { Settings } from '../options.js';
import { Ownership } from './ownership.js';
import type { RabbitmqReplies } from './replies.js';
import { queueArguments } from '../topology/topology.js';
import { TopologyDeclarer } from '../topology/topology-declarer.js';

/** How long a hung broker may keep the consumers' channels open before their connection is closed over them. */
const CONSUMERS_CLOSE_WITHIN_MS = 3_000;
const FORWARDER_PREFETCH = 20;
/** AMQP sends the prefetch in 16 bits; 0 would be «unlimited». */
const MOST_PREFETCH = 65_535;

type Plan = ConsumerPlan<ChannelModel, ChannelSession>;

/** How a queue is consumed. `declare` makes it exist. */
interface Consuming extends Pick<SessionOptions, 'queue' | 'prefetch' | 'ackDelayMs'> {
  /** Known once it is declared. */
  readonly traits: () => Pick<SessionOptions, 'counts'> & Pick<Plan, 'mayStandBy'>;
  readonly handlers: SubscribeHandlers;
  readonly declare: () => Promise<void>;
}

/** The connection that messages are consumed on, with their topologies: a blocked publisher never keeps it from acking. */
export class ConsumingSide {
  readonly connection: RabbitmqConnection;
  readonly topologies: TopologyDeclarer;
  /** For whatever the broker is asked here. */
  readonly bound: AnswerTimeout;
  /** What is declared here has no subscription: subscriptions declare their own. */
  private readonly subscriptions: Subscriptions<ChannelModel, ChannelSession>;
  /** Each declares again what a consumer consumes from. */
  private readonly renewals = new Set<() => Promise<void>>();
  private readonly unbound = new WeakSet<Topology>();
  private readonly ownership: Ownership;
  private readonly former: FormerBindings;
  private readonly formerQueues: FormerQueues;
  private renewing: Promise<void> = Promise.resolve();
  private lastProblem?: string;

  constructor(
    private readonly settings: Settings,
    private readonly names: Names,
    private readonly environment: TransportEnvironment,
    private readonly replies: RabbitmqReplies,
  ) {
    const name = `${settings.connectionName ?? environment.service} (consuming)`;
    this.connection = new RabbitmqConnection(name, settings.addresses, environment, {
      opened: (model) => {
        void this.redeclare(model);
        replies.up(model, environment.clock);
      },
      lost: (reason) => replies.down(reason),
      warning: (message, reason) => this.subscriptions.warn(message, reason),
    });
    const { clock, confirmTimeout, provision } = environment;
    this.bound = { clock, ms: confirmTimeout };
    const record = new DeclaredRecord(
      recordQueue(environment.service),
      queueArguments(settings.queueType, settings.deliveryLimit),
      this.connection,
      this.bound,
    );
    const warn = (message: string): void => this.subscriptions.warn(message);
    this.former = new FormerBindings(record, this.connection, this.bound, warn);
    this.formerQueues = formerQueues(record, this.connection, this.bound, warn);
    this.topologies = new TopologyDeclarer(this.connection, names, settings, provision, this.bound, this.former);
    this.ownership = new Ownership(this.connection, this.bound);
    this.subscriptions = new Subscriptions({
      connection: this.connection,
      environment,
      closeWithinMs: CONSUMERS_CLOSE_WITHIN_MS,
      make: (_, topology) => this.topologies.declare(topology),
      remove: (model, queue) => withChannel(model, this.bound, (channel) => channel.deleteQueue(queue)),
    });
  }

  /** It does not reject. */
  private async redeclare(model: ChannelModel): Promise<void> {
    // At once where there are none.
    if (this.settings.exchanges.size > 0)
      await this.topologies.declareExchanges().catch((error: Error) => this.notRenewed(error));
    await this.subscriptions.redeclare(model);
  }

  /** Rejects only for what waiting does not cure: the rest is told when the topologies are declared. */
  async compare(topologies: readonly Topology[]): Promise<void> {
    if (!this.connection.current) return;
    await this.topologies.compare(topologies).catch((error: unknown) => {
      if (!(error as MessagingError).retryable) throw error;
    });
  }

  async declare(topology: Topology): Promise<void> {
    if (!this.connection.current) this.topologies.first.add(topology.queue);
    await this.subscriptions.declare(topology);
  }

  async unbind(topology: Topology): Promise<void> {
    this.subscriptions.declared.delete(topology.queue);
    this.unbound.add(topology);
    // Or the renewal would bind them again.
    await this.renewing;
    await this.topologies.unbind(topology);
  }

  async subscribe(
    { topology, prefetch, ackDelayMs = 0 }: SubscribeOptions,
    handlers: SubscribeHandlers,
  ): Promise<TransportSubscription> {
    const { queue, partitionOf } = topology;
    this.subscriptions.declared.delete(queue);
    const wanted = (): Topology => (this.unbound.has(topology) ? withoutBindings(topology) : topology);
    const renew = (): Promise<void> => this.topologies.renew(wanted());
    const plan = this.plan(
      {
        queue,
        prefetch: Math.min(Math.max(1, prefetch), MOST_PREFETCH),
        ackDelayMs,
        traits: () => this.topologies.traitsOf(topology),
        handlers,
        declare: async () => {
          await this.topologies.declareToConsume(wanted());
          if (partitionOf !== undefined) await this.ownership.acquire(queue);
        },
      },
      () => {
        this.renewals.delete(renew);
        if (partitionOf !== undefined) void this.ownership.release(queue);
      },
    );
    this.renewals.add(renew);
    try {
      return await this.subscriptions.subscribe(plan);
    } catch (error) {
      this.renewals.delete(renew);
      throw error;
    }
  }

  /** Starts the forwarder, once. */
  forward(handlers: SubscribeHandlers): void {
    const declare = (): Promise<void> => this.topologies.declareDelayEnds();
    this.subscriptions.startOnce(() => {
      this.renewals.add(declare);
      const queue = this.names.dueQueue;
      const traits = (): ReturnType<Consuming['traits']> => ({ counts: true });
      return this.plan({ queue, prefetch: FORWARDER_PREFETCH, ackDelayMs: 0, traits, handlers, declare });
    });
  }

  /** Declares again whatever this process declared, so that a binding that vanished comes back. It does not reject. */
  renew(): Promise<void> {
    this.renewing = this.renewing.then(async () => {
      this.topologies.forgetDelayEnds();
      const declared = [...this.subscriptions.declared.values()];
      const topologies = declared.map((topology) => () => this.topologies.renew(topology));
      const renewals = [...this.renewals, ...topologies].map((renew) =>
        renew().catch((error: Error) => this.notRenewed(error)),
      );
      await Promise.all(renewals);
      await this.formerQueues.look(this.former.declared);
    });
    return this.renewing;
  }

  async close(): Promise<void> {
    this.topologies.first.forget();
    await this.subscriptions.close();
    this.replies.down('The transport is closed');
    await this.connection.close();
  }

  private plan({ declare, traits, ...session }: Consuming, ended: () => void = () => {}): Plan {
    const { names, bound, connection, environment } = this;
    const warning = (message: string): void => environment.onEvent({ type: 'warning', message });
    const redact = (text: string): string => connection.redact(text);
    return {
      queue: session.queue,
      handlers: session.handlers,
      get mayStandBy() {
        return traits().mayStandBy;
      },
      // Once the consumer is cancelled, another gets what comes next; only the end of the channel gives back at once.
      givesBackAtOnce: true,
      ended,
      open: async (model) => {
        await declare();
        const { counts } = traits();
        return ChannelSession.open(model, { ...session, counts, names, bound, warning, redact });
      },
    };
  }

  /** What waiting cures is not worth a word, and the rest not one every minute. */
  private notRenewed(error: Error): void {
    if ((error as MessagingError).retryable || error.message === this.lastProblem) return;
    this.lastProblem = error.message;
    this.subscriptions.warn(error.message);
  }
}

function withoutBindings({ native, ...topology }: Topology): Topology {
  const { bindings: _, ...others } = native ?? {};
  return { ...topology, native: others, patterns: [] };
}
