import { nats } from 'nestjs-messaging/nats';
import { describeNats } from '../../brokers/nats.js';
import { shopSuite } from './shop-suite.js';

describeNats("Nest's microservices", (broker) =>
  shopSuite(async () => nats({ servers: await broker.url(), syncAlways: true })),
);
