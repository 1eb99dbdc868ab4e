import { ManualClock } from '../../../lib/clock/manual-clock.js';
import type { Headers } from '../../../lib/message/headers.js';
import type { Delivery } from '../../../lib/transport/delivery.js';
import type { Destination, Outgoing, PublishResult } from '../../../lib/transport/outgoing.js';
import type { Topology } from '../../../lib/transport/topology.js';
import type { Transport, TransportEnvironment, TransportSubscription } from '../../../lib/transport/transport.js';
import { memory, type MemoryOptions } from '../../../lib/transports/memory/memory.js';
import { MemoryBroker } from '../../../lib/transports/memory/memory-broker.js';

export interface Message {
  readonly id?: string;
  readonly body?: Buffer;
  readonly headers?: Headers;
  readonly dueAt?: number;
  readonly mandatory?: boolean;
}

/** One subscription and everything that happened on it. */
export class Consumer {
  readonly deliveries: Delivery[] = [];
  readonly lost: Delivery[] = [];
  readonly states: (readonly [consuming: boolean, reason?: string])[] = [];
  subscription!: TransportSubscription;

  get ids(): string[] {
    return this.deliveries.map(({ message }) => message.id);
  }
}

/** A transport on a clock that stands still, and everything it told. */
export class Client {
  readonly events: string[] = [];
  readonly results: (readonly [id: string, status: PublishResult['status'], error?: string])[] = [];

  private constructor(
    readonly transport: Transport,
    readonly broker: MemoryBroker,
    readonly clock: ManualClock,
  ) {}

  static async connect(
    broker = new MemoryBroker(),
    clock = new ManualClock(),
    environment: Partial<TransportEnvironment> = {},
    options: MemoryOptions = {},
  ): Promise<Client> {
    const client = new Client(memory({ ...options, broker }).create(), broker, clock);
    await client.transport.connect({
      clock,
      service: 'test',
      random: () => 0.5,
      reconnect: { initial: 100, max: 1_000, jitter: 0.2 },
      confirmTimeout: 10_000,
      provision: true,
      onEvent: (event) => {
        if (event.type === 'warning') client.events.push(`warning: ${event.message}`);
        else client.events.push('reason' in event ? `${event.type}: ${event.reason}` : event.type);
      },
      ...environment,
    });
    return client;
  }

  /** Publishes without waiting. */
  send(to: string | Destination, ...messages: Message[]): void {
    const batch = messages.map((message) =>
      outgoing(typeof to === 'string' ? { kind: 'route', route: to } : to, message),
    );
    this.transport.publish(batch, ({ message }, result) => {
      this.results.push(
        'error' in result ? [message.id, result.status, result.error.message] : [message.id, result.status],
      );
    });
  }

  /** Publishes and lets everything happen that happens at once. */
  async publish(to: string | Destination, ...messages: Message[]): Promise<void> {
    this.send(to, ...messages);
    await this.clock.advance(0);
  }

  async consume(
    topology: Topology,
    prefetch = 100,
    onDelivery: (delivery: Delivery) => void = () => {},
  ): Promise<Consumer> {
    await this.transport.declare(topology);
    const consumer = new Consumer();
    consumer.subscription = await this.transport.subscribe(
      { topology, prefetch },
      {
        delivery(delivery) {
          consumer.deliveries.push(delivery);
          onDelivery(delivery);
        },
        lost: (delivery) => consumer.lost.push(delivery),
        state: (consuming, reason) => consumer.states.push(reason === undefined ? [consuming] : [consuming, reason]),
      },
    );
    await this.clock.advance(0);
    return consumer;
  }
}

export function topology(queue: string, patterns: readonly string[] = [queue], more: Partial<Topology> = {}): Topology {
  return { queue, patterns, provision: true, ...more };
}

export function outgoing(
  to: Destination,
  { id = 'm', body, headers = {}, dueAt, mandatory = true }: Message,
): Outgoing {
  const route = to.kind === 'route' ? to.route : 'route';
  return {
    to,
    message: { id, route, body: body ?? Buffer.from(id), headers, properties: {} },
    dedupeId: id,
    dueAt,
    mandatory,
  };
}

export function numbered(count: number): Message[] {
  return Array.from({ length: count }, (_, at) => ({ id: String(at) }));
}
