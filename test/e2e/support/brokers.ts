import { describe } from '@jest/globals';
import { memory, type TransportFactory } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { MemoryBroker } from '../../../lib/transports/memory/memory-broker.js';
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
