import { createRequire } from 'node:module';
import { join } from 'node:path';

// The copy of the package that is measured: the first argument of a client process.
const load = createRequire(join(process.argv[2], 'package.json'));

export const {
  Messaging,
  MessagingModule,
  Publisher,
  Subscribe,
  SubscribeBatch,
  memoryIdempotencyStore,
  partitioned,
  sqliteIdempotencyStore,
} = load('nestjs-messaging');
export const { openTelemetry } = load('nestjs-messaging/opentelemetry');
export const { kafka } = load('nestjs-messaging/kafka');
export const { nats } = load('nestjs-messaging/nats');
export const { rabbitmq } = load('nestjs-messaging/rabbitmq');
export const { Requester, Respond } = load('nestjs-messaging/request');
