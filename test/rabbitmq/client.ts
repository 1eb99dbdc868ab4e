import { systemClock } from '../../lib/clock/clock.js';
import type { WireMessage } from '../../lib/message/message.js';
import type { Delivery } from '../../lib/transport/delivery.js';
import type { Destination, Outgoing, PublishResult } from '../../lib/transport/outgoing.js';
import type { Topology } from '../../lib/transport/topology.js';
import type { TransportEnvironment, TransportEvent, TransportSubscription } from '../../lib/transport/transport.js';
import type { RabbitmqOptions } from '../../lib/transports/rabbitmq/options.js';
import { rabbitmq } from '../../lib/transports/rabbitmq/rabbitmq.js';
import type { RabbitmqTransport } from '../../lib/transports/rabbitmq/transport.js';
import { waitFor } from '../brokers/wait-for.js';

export interface ClientOptions {
  readonly rabbitmq?: Omit<RabbitmqOptions, 'url' | 'urls'>;
  readonly environment?: Partial<TransportEnvironment>;
}

/** A transport on a real broker, with everything it says kept. */
export class Client {
  readonly events: TransportEvent[] = [];
  readonly transport: RabbitmqTransport;
  readonly environment: TransportEnvironment;

  constructor(url: string, { rabbitmq: options, environment }: ClientOptions = {}) {
    this.transport = rabbitmq({ url, exchange: 'events', ...options }).create() as RabbitmqTransport;
    this.environment = {
      clock: systemClock,
      service: 'tests',
      random: Math.random,
      reconnect: { initial: 20, max: 200, jitter: 0.2 },
      confirmTimeout: 10_000,
      provision: true,
      onEvent: (event) => void this.events.push(event),
      ...environment,
    };
  }

  static async connect(url: string, options?: ClientOptions): Promise<Client> {
    const client = new Client(url, options);
    await client.transport.connect(client.environment);
    return client;
  }

  count(type: TransportEvent['type']): number {
    return this.events.filter((event) => event.type === type).length;
  }

  warnings(): string[] {
    return this.events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
  }

  /** The results, in the order of the messages. */
  publish(...outgoing: Outgoing[]): Promise<PublishResult[]> {
    return new Promise((resolve) => {
      const results = new Map<Outgoing, PublishResult>();
      this.transport.publish(outgoing, (message, result) => {
        results.set(message, result);
        if (results.size === outgoing.length) resolve(outgoing.map((one) => results.get(one)!));
      });
    });
  }

  /** Until it is confirmed, as core does it. */
  async insist(outgoing: Outgoing): Promise<void> {
    await waitFor(
      async () => (await this.publish(outgoing))[0].status === 'confirmed',
      `a confirm of ${outgoing.message.id}`,
    );
  }

  async consume(topology: Topology, options: Partial<ConsumerOptions> = {}): Promise<TestConsumer> {
    const consumer = new TestConsumer(options.on ?? ((delivery) => delivery.ack()));
    await this.transport.declare(topology);
    const { prefetch = 10, ackDelayMs = 0 } = options;
    consumer.subscription = await this.transport.subscribe({ topology, prefetch, ackDelayMs }, consumer);
    return consumer;
  }

  close(): Promise<void> {
    return this.transport.close();
  }
}

export interface ConsumerOptions {
  readonly prefetch: number;
  readonly ackDelayMs: number;
  readonly on: (delivery: Delivery) => void;
}

export class TestConsumer {
  subscription!: TransportSubscription;
  readonly deliveries: Delivery[] = [];
  readonly arrivals: number[] = [];
  readonly lostOnes: Delivery[] = [];
  readonly states: { consuming: boolean; reason?: string }[] = [];

  constructor(private readonly on: (delivery: Delivery) => void) {}

  get ids(): string[] {
    return this.deliveries.map(({ message }) => message.id);
  }

  delivery(delivery: Delivery): void {
    this.deliveries.push(delivery);
    this.arrivals.push(Date.now());
    this.on(delivery);
  }

  lost(delivery: Delivery): void {
    this.lostOnes.push(delivery);
  }

  state(consuming: boolean, reason?: string): void {
    this.states.push({ consuming, reason });
  }

  async received(count: number, within?: number): Promise<void> {
    await waitFor(
      () => this.deliveries.length >= count,
      `delivery ${count}, there are ${this.deliveries.length}`,
      within,
    );
  }
}

export function topologyOf(name: string, more: Partial<Topology> = {}): Topology {
  return {
    queue: `tests:${name}:queue`,
    patterns: [name],
    deadLetter: { queue: `tests:${name}:dlq`, route: `tests:${name}:dlq` },
    provision: true,
    ...more,
  };
}

export function message(id: string, more: Partial<WireMessage> = {}): WireMessage {
  return { id, route: 'order.created', body: Buffer.from(`{"id":"${id}"}`), headers: {}, properties: {}, ...more };
}

export function outgoing(to: Destination, wire: WireMessage, more: Partial<Outgoing> = {}): Outgoing {
  return { to, message: wire, dedupeId: wire.id, mandatory: true, ...more };
}

export function toRoute(
  route: string,
  id: string,
  more: Partial<WireMessage> = {},
  options: Partial<Outgoing> = {},
): Outgoing {
  return outgoing({ kind: 'route', route }, message(id, { route, ...more }), options);
}

export function toQueue(
  queue: string,
  id: string,
  more: Partial<WireMessage> = {},
  options: Partial<Outgoing> = {},
): Outgoing {
  return outgoing({ kind: 'queue', queue }, message(id, more), options);
}
