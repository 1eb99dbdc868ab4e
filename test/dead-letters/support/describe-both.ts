import type { TransportFactory } from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { describeNats } from '../../brokers/nats.js';
import { describeRabbit } from '../../brokers/rabbitmq.js';

/** A fresh, empty broker, and how the command line is told of it. */
export interface FreshBroker {
  readonly factory: TransportFactory;
  readonly env: Record<string, string>;
}

/** The block on every broker that keeps what it is given. */
export function describeBoth(
  name: string,
  block: (fresh: () => Promise<FreshBroker>, system: 'rabbitmq' | 'nats') => void,
): void {
  describeRabbit(name, (rabbit) =>
    block(async () => {
      const url = await rabbit.freshVhostUrl();
      return { factory: rabbitmq({ url }), env: { AMQP_URL: url, NATS_URL: '' } };
    }, 'rabbitmq'),
  );
  describeNats(name, (server) =>
    block(async () => {
      const servers = await server.url();
      return { factory: nats({ servers, syncAlways: true }), env: { NATS_URL: servers, AMQP_URL: '' } };
    }, 'nats'),
  );
}
