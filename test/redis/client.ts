import { systemClock, type WireMessage } from 'nestjs-messaging';
import { redis, type RedisOptions } from 'nestjs-messaging/redis';
import type {
  Delivery,
  Outgoing,
  PublishResult,
  Topology,
  Transport,
  TransportEvent,
  TransportSubscription,
} from 'nestjs-messaging/transport';

const opened: Transport[] = [];

export async function closeTransports(): Promise<void> {
  await Promise.all(opened.splice(0).map((transport) => transport.close()));
}

/** One transport without the rest of the package, as one process would have it. */
export class PlainTransport {
  readonly events: TransportEvent[] = [];
  private count = 0;

  private constructor(readonly transport: Transport) {}

  static async connect(options: RedisOptions, { provision = true } = {}): Promise<PlainTransport> {
    const client = new PlainTransport(redis(options).create());
    opened.push(client.transport);
    await client.transport.connect({
      clock: systemClock,
      service: 'test',
      random: Math.random,
      reconnect: { initial: 20, max: 200, jitter: 0.2 },
      confirmTimeout: 5_000,
      provision,
      onEvent: (event) => client.events.push(event),
    });
    return client;
  }

  warnings(): string[] {
    return this.events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
  }

  message(fields: Partial<WireMessage> = {}): WireMessage {
    return { id: `${++this.count}`, route: 'a', body: Buffer.from('{}'), headers: {}, properties: {}, ...fields };
  }

  toQueue(queue: string, fields: Partial<WireMessage> = {}, more: Partial<Outgoing> = {}): Outgoing {
    const message = this.message(fields);
    return { to: { kind: 'queue', queue }, message, dedupeId: message.id, mandatory: true, ...more };
  }

  /** The fate of each, in order. */
  publish(...batch: Outgoing[]): Promise<PublishResult['status'][]> {
    const results = new Map<Outgoing, PublishResult>();
    return new Promise((resolve) =>
      this.transport.publish(batch, (outgoing, result) => {
        results.set(outgoing, result);
        if (results.size === batch.length) resolve(batch.map((one) => results.get(one)!.status));
      }),
    );
  }

  /** Hands over each delivery, and `lost` each that is lost. */
  async consume(
    topology: Topology,
    prefetch: number,
    delivery: (delivery: Delivery) => void,
    lost: (delivery: Delivery) => void = () => undefined,
  ): Promise<TransportSubscription> {
    await this.transport.declare(topology);
    return this.transport.subscribe({ topology, prefetch }, { delivery, lost, state: () => undefined });
  }
}

export function queueOf(queue: string): Topology {
  return { queue, patterns: [], provision: true };
}
