import { describe } from '@jest/globals';
import { memory, type TransportFactory } from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { MemoryBroker } from '../../../lib/transports/memory/memory-broker.js';
import { describeNatsNode } from '../../brokers/nats.js';
import { describeRabbit } from '../../brokers/rabbitmq.js';

/** Makes transports that reach one fresh, empty broker (a new vhost on RabbitMQ). */
export type FreshBroker = () => Promise<() => TransportFactory>;

/** The block on the embedded broker and on every RabbitMQ there is. */
export function describeBrokers(name: string, block: (fresh: FreshBroker) => void): void {
  describe(`${name} (memory)`, () =>
    block(async () => {
      const broker = new MemoryBroker();
      return () => memory({ broker });
    }));
  describeRabbit(name, (rabbit) =>
    block(async () => {
      const url = await rabbit.freshVhostUrl();
      return () => rabbitmq({ url, exchange: 'events' });
    }),
  );
}

/** The same on every NATS there is as well. */
export function describeAllBrokers(name: string, block: (fresh: FreshBroker) => void): void {
  describeBrokers(name, block);
  describeNatsNode(name, (server) =>
    block(async () => {
      const { url } = await server.start();
      return () => nats({ servers: url, syncAlways: true });
    }),
  );
}
