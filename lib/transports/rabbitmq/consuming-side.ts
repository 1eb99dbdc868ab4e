import type { MessagingError } from '../../errors/messaging-error.js';
import { sleep } from '../../clock/sleep.js';
import type { Topology } from '../../transport/topology.js';
import type { SubscribeHandlers, SubscribeOptions, TransportEnvironment } from '../../transport/transport.js';
import { reconnectDelay } from '../../transport/reconnect-delay.js';
import type { Bound } from '../kit/answered.js';
import { Consumer, type ConsumerOptions } from './consumer.js';
import { DeclaredRecord } from './declared-record.js';
import { FormerQueues } from './former-queues.js';
import { FormerBindings } from './former-bindings.js';
import type { Names } from './names.js';
import type { Settings } from './options.js';
import { Ownership } from './ownership.js';
import { RabbitmqConnection } from './connection.js';
import { hasSingleActiveConsumer, queueArguments, queueTypeOf } from './topology.js';
import { TopologyDeclarer } from './topology-declarer.js';

/** How long a hung broker may keep the consumers' channels open before their connection is closed over them. */
const CONSUMERS_CLOSE_WITHIN_MS = 3_000;
const FORWARDER_PREFETCH = 20;
/** AMQP sends it in 16 bits; 0 would be «unlimited». */
const MOST_PREFETCH = 65_535;

/** The connection that messages are consumed on, with their topologies: a blocked publisher never keeps it from acking. */
export class ConsumingSide {
  readonly connection: RabbitmqConnection;
  readonly topologies: TopologyDeclarer;
  /** For whatever the broker is asked here. */
  readonly bound: Bound;
  /** With what declares again what they consume from. */
  private readonly consumers = new Map<Consumer, () => Promise<void>>();
  /** Topologies without a subscription: they come back with the connection. A subscription declares its own. */
  private readonly declared = new Map<string, Topology>();
  private readonly unbound = new WeakSet<Topology>();
  private readonly ownership: Ownership;
  private readonly former: FormerBindings;
  private readonly formerQueues: FormerQueues;
  private forwarding = false;
  private renewing: Promise<void> = Promise.resolve();
  private lastProblem?: string;

  constructor(
    private readonly settings: Settings,
    private readonly names: Names,
    private readonly environment: TransportEnvironment,
  ) {
    const name = `${settings.connectionName ?? environment.service} (consuming)`;
    this.connection = new RabbitmqConnection(name, settings.addresses, environment, {
      opened: () => void this.redeclare(),
      lost: () => {},
      warning: (message, reason) => this.warn(message, reason),
    });
    const { clock, confirmTimeout, provision } = environment;
    this.bound = { clock, ms: confirmTimeout };
    const record = new DeclaredRecord(
      `${environment.service}:declared`,
      queueArguments(settings.queueType, settings.deliveryLimit),
      this.connection,
      this.bound,
    );
    const warn = (message: string): void => this.warn(message);
    this.former = new FormerBindings(record, this.connection, this.bound, warn);
    this.formerQueues = new FormerQueues(record, this.connection, this.bound, warn);
    this.topologies = new TopologyDeclarer(this.connection, names, settings, provision, this.bound, this.former);
    this.ownership = new Ownership(this.connection, this.bound);
  }

  /** It rejects only for what waiting does not cure: the rest is told when they are declared. */
  async compare(topologies: readonly Topology[]): Promise<void> {
    if (!this.connection.current) return;
    await this.topologies.compare(topologies).catch((error: unknown) => {
      if (!(error as MessagingError).retryable) throw error;
    });
  }

  async declare(topology: Topology): Promise<void> {
    this.declared.set(topology.queue, topology);
    if (!this.connection.current) return this.topologies.first.add(topology.queue);
    try {
      await this.topologies.declare(topology);
    } catch (error) {
      const { retryable, message } = error as MessagingError;
      if (!retryable) throw error;
      this.warn(message);
      this.declareLater(topology, 1);
    }
  }

  async unbind(topology: Topology): Promise<void> {
    this.declared.delete(topology.queue);
    this.unbound.add(topology);
    // Or it would bind them again.
    await this.renewing;
    await this.topologies.unbind(topology);
  }

  async subscribe({ topology, prefetch }: SubscribeOptions, handlers: SubscribeHandlers): Promise<Consumer> {
    this.declared.delete(topology.queue);
    const wanted = (): Topology => (this.unbound.has(topology) ? { ...topology, patterns: [] } : topology);
    const consumer = this.add(
      {
        queue: topology.queue,
        prefetch: Math.min(Math.max(1, prefetch), MOST_PREFETCH),
        counts: queueTypeOf(topology, this.settings) === 'quorum',
        mayStandBy: hasSingleActiveConsumer(topology),
        handlers,
        declare: async () => {
          await this.topologies.declareToConsume(wanted());
          if (topology.partitionOf !== undefined) await this.ownership.acquire(topology.queue);
        },
      },
      () => this.topologies.renew(wanted()),
      () => topology.partitionOf !== undefined && void this.ownership.release(topology.queue),
    );
    try {
      await consumer.start();
    } catch (error) {
      this.consumers.delete(consumer);
      throw error;
    }
    return consumer;
  }

  /** Starts the forwarder, once. */
  forward(handlers: SubscribeHandlers): void {
    if (this.forwarding) return;
    this.forwarding = true;
    const declare = (): Promise<void> => this.topologies.declareDelayEnds();
    const consumer = this.add(
      { queue: this.names.dueQueue, prefetch: FORWARDER_PREFETCH, counts: true, handlers, declare },
      declare,
    );
    consumer.startInBackground();
  }

  /** Declares again whatever this process declared, so that a binding that vanished comes back. It does not reject. */
  renew(): Promise<void> {
    this.renewing = this.renewing.then(async () => {
      this.topologies.forgetDelayEnds();
      const topologies = [...this.declared.values()].map((topology) => () => this.topologies.renew(topology));
      const renewals = [...this.consumers.values(), ...topologies].map((renew) =>
        renew().catch((error: Error) => this.notRenewed(error)),
      );
      await Promise.all(renewals);
      await this.formerQueues.look(this.former.declared);
    });
    return this.renewing;
  }

  /** What is unsettled goes back to the broker; what was settled gets there first. */
  async close(): Promise<void> {
    this.forwarding = true;
    this.declared.clear();
    this.topologies.first.forget();
    const consumersClosed = Promise.all([...this.consumers.keys()].map((consumer) => consumer.close()));
    const closed = new AbortController();
    void consumersClosed.finally(() => closed.abort());
    await sleep(this.environment.clock, CONSUMERS_CLOSE_WITHIN_MS, closed.signal);
    await this.connection.close();
  }

  private add(
    options: Omit<ConsumerOptions, 'names' | 'connection' | 'environment' | 'ended'>,
    renew: () => Promise<void>,
    atEnd: () => unknown = () => {},
  ): Consumer {
    const { names, connection, environment } = this;
    const ended = (): void => {
      this.consumers.delete(consumer);
      atEnd();
    };
    const consumer: Consumer = new Consumer({ ...options, names, connection, environment, ended });
    this.consumers.set(consumer, renew);
    return consumer;
  }

  private async redeclare(): Promise<void> {
    for (const topology of this.declared.values()) {
      await this.topologies.declare(topology).catch((error: Error) => {
        this.warn(error.message);
        this.declareLater(topology, 1);
      });
    }
  }

  /** Goes on trying as long as the connection is there: with the next one it is declared anyway. */
  private declareLater(topology: Topology, failures: number): void {
    const { clock, reconnect, random } = this.environment;
    const model = this.connection.current;
    const again = (): void => {
      if (!model || this.connection.current !== model || this.declared.get(topology.queue) !== topology) return;
      this.topologies.declare(topology).catch(() => this.declareLater(topology, failures + 1));
    };
    clock.after(reconnectDelay(reconnect, failures, random), again, { background: true });
  }

  /** What waiting cures is not worth a word, and the rest not one every minute. */
  private notRenewed(error: Error): void {
    if ((error as MessagingError).retryable || error.message === this.lastProblem) return;
    this.lastProblem = error.message;
    this.warn(error.message);
  }

  private warn(message: string, reason?: string): void {
    // Whatever fails now fails because we are closing.
    if (this.connection.isClosed) return;
    this.environment.onEvent({ type: 'warning', message, ...(reason !== undefined && { reason }) });
  }
}
