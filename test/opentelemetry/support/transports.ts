import { describe } from '@jest/globals';
import { nats } from 'nestjs-messaging/nats';
import { describeNats } from '../../brokers/nats.js';
import { describeBrokers, type FreshBroker } from '../../e2e/support/brokers.js';

/** The block on the embedded broker, on every RabbitMQ and on every NATS there is. */
export function describeTransports(name: string, block: (fresh: FreshBroker) => void): void {
  describeBrokers(name, block);
  describeNats(name, (server) =>
    describe('over JetStream', () => {
      let streams = 0;
      block(async () => {
        const servers = await server.url();
        const stream = `telemetry${process.pid}${streams++}`;
        return () => nats({ servers, stream });
      });
    }),
  );
}
