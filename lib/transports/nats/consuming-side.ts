import type { MessagingError } from '../../errors/messaging-error.js';
import { sleep } from '../../clock/sleep.js';
import { reconnectDelay } from '../../transport/reconnect-delay.js';
import type { Topology } from '../../transport/topology.js';
import type { SubscribeHandlers, SubscribeOptions, TransportEnvironment } from '../../transport/transport.js';
import type { SupervisedConnection } from '../kit/supervised-connection.js';
import { Binding } from './binding.js';
import { Consumer, type ConsumerOptions } from './consumer.js';
import type { DelayedStream } from './delayed-stream.js';
import { declareForwarder, FORWARDER, FORWARDER_ACK_WAIT_MS } from './forwarder.js';
import type { Link } from './link.js';
import { tokenOf, type Names } from './names.js';
import type { Settings } from './options.js';
import type { Queue, Queues } from './queues.js';

/** How long a hung server may keep the consumers open. */
const CONSUMERS_CLOSE_WITHIN_MS = 4_000;
const FORWARDER_PREFETCH = 100;

/** The subscriptions of one transport, and the topologies that come back with the connection. */
export class ConsumingSide {
  private readonly consumers = new Set<Consumer>();
  private readonly declared = new Map<string, Topology>();
  private readonly bindings = new Map<string, Binding>();
  private forwarding = false;

  constructor(
    private readonly settings: Settings,
    private readonly names: Names,
    private readonly environment: TransportEnvironment,
    private readonly connection: SupervisedConnection<Link>,
    private readonly queues: Queues,
    private readonly delayed: DelayedStream,
  ) {}

  async declare(topology: Topology): Promise<void> {
    this.declared.set(topology.queue, topology);
    const link = this.connection.current;
    if (!link) return;
    try {
      await this.make(link, topology);
    } catch (error) {
      const { retryable, message } = error as MessagingError;
      if (!retryable) {
        this.declared.delete(topology.queue);
        throw error;
      }
      this.warn(message);
      this.declareLater(topology, 1);
    }
  }

  /** On a new connection, before anybody publishes on it. */
  async redeclare(link: Link): Promise<void> {
    for (const topology of [...this.declared.values()])
      await this.make(link, topology).catch((error: Error) => this.warn(error.message));
  }

  async unbind(link: Link, topology: Topology): Promise<void> {
    this.declared.set(topology.queue, { ...topology, patterns: [] });
    await this.queues.unbind(link, topology);
    const found = await this.queues.find(link, topology.queue);
    if (found) this.learn(found);
  }

  async subscribe({ topology, prefetch }: SubscribeOptions, handlers: SubscribeHandlers): Promise<Consumer> {
    const { queue } = topology;
    this.declared.set(queue, this.declared.get(queue) ?? topology);
    const consumer = this.add({
      queue,
      stream: this.names.stream,
      consumer: tokenOf(queue),
      prefetch: Math.max(1, prefetch),
      ackWait: this.settings.ackWait,
      handlers,
      binding: () => this.bindings.get(queue),
      declare: (link) => this.make(link, this.declared.get(queue) ?? topology),
    });
    try {
      await consumer.start();
    } catch (error) {
      this.consumers.delete(consumer);
      throw error;
    }
    return consumer;
  }

  /** Starts to look after what is delayed, once. */
  forward(handlers: SubscribeHandlers): void {
    if (this.forwarding) return;
    this.forwarding = true;
    const { names, connection, delayed } = this;
    const redact = (text: string): string => connection.redact(text);
    const { provision } = this.environment;
    this.add({
      queue: names.delayed,
      stream: names.delayed,
      consumer: FORWARDER,
      prefetch: FORWARDER_PREFETCH,
      ackWait: FORWARDER_ACK_WAIT_MS,
      handlers,
      binding: () => undefined,
      declare: async (link) => {
        if (!provision) await delayed.look(link);
        return declareForwarder(link, names, redact);
      },
    }).startInBackground();
  }

  disconnected(reason: string): void {
    for (const consumer of this.consumers) consumer.disconnected(reason);
  }

  /** What is unsettled goes back to the broker. */
  async close(): Promise<void> {
    this.forwarding = true;
    this.declared.clear();
    const closed = new AbortController();
    void Promise.all([...this.consumers].map((consumer) => consumer.close())).finally(() => closed.abort());
    await sleep(this.environment.clock, CONSUMERS_CLOSE_WITHIN_MS, closed.signal);
  }

  private async make(link: Link, topology: Topology): Promise<string> {
    const queue = await this.queues.declare(link, topology);
    this.learn(queue);
    return queue.info.created;
  }

  private learn({ record }: Queue): void {
    this.bindings.set(record.queue, new Binding(record, this.names));
  }

  private add(options: Omit<ConsumerOptions, 'connection' | 'environment' | 'ended'>): Consumer {
    const { connection, environment } = this;
    const ended = (): void => void this.consumers.delete(consumer);
    const consumer: Consumer = new Consumer({ ...options, connection, environment, ended });
    this.consumers.add(consumer);
    return consumer;
  }

  /** Goes on trying as long as the connection is there: with the next one it is declared anyway. */
  private declareLater(topology: Topology, failures: number): void {
    const { clock, reconnect, random } = this.environment;
    const link = this.connection.current;
    const again = (): void => {
      if (!link || this.connection.current !== link || this.declared.get(topology.queue) !== topology) return;
      this.make(link, topology).catch(() => this.declareLater(topology, failures + 1));
    };
    clock.after(reconnectDelay(reconnect, failures, random), again, { background: true });
  }

  warn(message: string): void {
    this.environment.onEvent({ type: 'warning', message });
  }
}
