import { systemClock } from '../../../lib/clock/clock.js';
import { header, type Headers } from '../../../lib/message/headers.js';
import type { WireMessage } from '../../../lib/message/message.js';
import type { Delivery } from '../../../lib/transport/delivery.js';
import type { Outgoing } from '../../../lib/transport/outgoing.js';
import type { Topology } from '../../../lib/transport/topology.js';
import type { Transport, TransportFactory } from '../../../lib/transport/transport.js';
import { waitFor } from '../../brokers/wait-for.js';

export const QUEUE = 'shop:paid:queue';
export const DLQ = 'shop:paid:dlq';

const topology: Topology = {
  queue: QUEUE,
  patterns: ['order.paid'],
  deadLetter: { queue: DLQ, route: DLQ },
  provision: true,
};

/** An application's queue and dead letters on a real broker, as the tests fill and drain them. */
export class BrokerClient {
  /** What reached the queue, in its order. */
  readonly received: Delivery['message'][] = [];

  private constructor(readonly transport: Transport) {}

  static async connect(factory: TransportFactory): Promise<BrokerClient> {
    const transport = factory.create();
    const client = new BrokerClient(transport);
    let connected = false;
    await transport.connect({
      clock: systemClock,
      service: 'shop',
      random: Math.random,
      reconnect: { initial: 20, max: 200, jitter: 0.2 },
      confirmTimeout: 10_000,
      provision: true,
      onEvent: ({ type }) => void (connected ||= type === 'connected'),
    });
    await waitFor(() => connected, 'a connection', 30_000);
    await transport.declare(topology);
    return client;
  }

  /** Writes dead letters as a consumer does. */
  async fill(ids: readonly string[], headersOf: (id: string) => Headers = () => ({})): Promise<void> {
    for (let at = 0; at < ids.length; at += 200)
      await Promise.all(ids.slice(at, at + 200).map((id) => this.write(id, headersOf(id))));
  }

  /** Publishes what a handler is to get, perhaps later. */
  async send(ids: readonly string[], delayMs?: number): Promise<void> {
    const dueAt = delayMs === undefined ? undefined : Date.now() + delayMs;
    await Promise.all(
      ids.map((id) => {
        const { body, properties, route } = deadLetterMessage(id);
        return this.publish({
          to: { kind: 'route', route },
          message: { id, route, body, properties, headers: {} },
          dedupeId: `${id}:${Math.random()}`,
          mandatory: true,
          ...(dueAt !== undefined && { dueAt }),
        });
      }),
    );
  }

  /** Takes what comes to the queue and settles nothing. */
  async hold(taken: (id: string) => void): Promise<void> {
    const handlers = {
      delivery: ({ message }: Delivery) => taken(message.id),
      lost: () => undefined,
      state: () => undefined,
    };
    await this.transport.subscribe({ topology, prefetch: 100 }, handlers);
  }

  /** Takes what comes to the queue; what `handle` returns false for goes to the dead letters again. */
  async consume(handle: (message: Delivery['message']) => boolean = () => true): Promise<void> {
    await this.transport.subscribe(
      { topology, prefetch: 100 },
      {
        delivery: (delivery) => {
          this.received.push(delivery.message);
          if (handle(delivery.message)) return delivery.ack();
          void this.write(delivery.message.id, {}).then(() => delivery.ack());
        },
        lost: () => undefined,
        state: () => undefined,
      },
    );
  }

  get receivedIds(): string[] {
    return this.received.map(({ id }) => id);
  }

  /** Waits: counts lag behind. */
  async untilDepth(depth: number, queue = DLQ): Promise<void> {
    await waitFor(async () => (await this.transport.queues!.depth(queue)) === depth, `${depth} in ${queue}`, 30_000);
  }

  close(): Promise<void> {
    return this.transport.close();
  }

  private write(id: string, headers: Headers): Promise<void> {
    return this.publish({
      to: { kind: 'dead-letter', route: DLQ },
      message: deadLetterMessage(id, headers),
      dedupeId: `${id}:${Math.random()}`,
      mandatory: true,
    });
  }

  private publish(outgoing: Outgoing): Promise<void> {
    return new Promise((resolve, reject) =>
      this.transport.publish([outgoing], (_, result) =>
        result.status === 'confirmed' ? resolve() : reject(result.error),
      ),
    );
  }
}

/** One that was given up, as a consumer writes it. */
export function deadLetterMessage(id: string, headers: Headers = {}): WireMessage {
  return {
    id,
    route: 'order.paid',
    body: bodyOf(id),
    properties: { contentType: 'application/json' },
    headers: {
      tenant: 'ada',
      [header.attempt]: 8,
      [header.reason]: 'attempts-exhausted',
      [header.errorClass]: 'PaymentError',
      [header.errorMessage]: 'declined',
      [header.originQueue]: QUEUE,
      [header.originRoute]: 'order.paid',
      [header.originTime]: Date.now(),
      ...headers,
    },
  };
}

export function bodyOf(id: string): Buffer {
  return Buffer.from(JSON.stringify({ id, name: 'é\u0000' }));
}

/** `count` ids. */
export function ids(count: number, prefix = 'm'): string[] {
  return Array.from({ length: count }, (_, at) => `${prefix}${at}`);
}
