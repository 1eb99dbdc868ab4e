import { memory, type TransportFactory } from 'nestjs-messaging';
import { kafka } from 'nestjs-messaging/kafka';
import { nats } from 'nestjs-messaging/nats';
import { postgres } from 'nestjs-messaging/postgres';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { redis } from 'nestjs-messaging/redis';
import { sqs } from 'nestjs-messaging/sqs';

const region = 'eu-central-1';

/** Each transport, with a password where it takes one, and none of its brokers there. */
export const transports: Readonly<Record<string, TransportFactory>> = {
  memory: memory(),
  rabbitmq: rabbitmq({ url: 'amqps://me:hunter2@rabbit.example/orders' }),
  nats: nats({ servers: 'nats://me:hunter2@nats.example:4333' }),
  kafka: kafka({ brokers: 'kafkas://me:hunter2@kafka.example:9093' }),
  postgres: postgres({ url: 'postgres://me:hunter2@postgres.example/orders' }),
  redis: redis({ url: 'rediss://me:hunter2@redis.example/1' }),
  sqs: sqs({ region, options: { credentials: { accessKeyId: 'me', secretAccessKey: 'hunter2' } } }),
  'sqs by sns': sqs({ region, topics: 'sns' }),
  'sqs with fifo queues': sqs({ region, topics: 'sns', fifo: true, prefix: 'shop-' }),
};
