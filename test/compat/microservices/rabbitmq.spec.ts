import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { describeRabbit } from '../../brokers/rabbitmq.js';
import { shopSuite } from './shop-suite.js';

describeRabbit("Nest's microservices", (rabbit) =>
  shopSuite(async () => rabbitmq({ url: await rabbit.freshVhostUrl() })),
);
