import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

// The copy of the package that is measured: the first argument of a client process.
const load = (path) => import(pathToFileURL(join(process.argv[2], 'dist/esm', path)));

export const {
  Messaging,
  MessagingModule,
  Publisher,
  Subscribe,
  SubscribeBatch,
  memoryIdempotencyStore,
  partitioned,
  sqliteIdempotencyStore,
} = await load('index.js');
export const { openTelemetry } = await load('opentelemetry/index.js');
export const { nats } = await load('transports/nats/index.js');
export const { rabbitmq } = await load('transports/rabbitmq/index.js');
