import 'reflect-metadata';
import { setTimeout as pause } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { fixed, Messaging, MessagingModule, partitioned } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { JournalWriter } from '../journal.js';
import { Random } from '../random.js';
import { EXCHANGE, ROUTE, type WorkBody } from '../worker/settings.js';
import { LANES, PARTITIONS, PREFETCH, SERVICE, type PartitionsWorkerSettings } from './settings.js';

/** One of the processes that share a partitioned queue; beside the plain consumer of the same route. */
async function main({ journal: path, urls, seed }: PartitionsWorkerSettings): Promise<void> {
  const journal = new JournalWriter(path);
  const random = new Random(seed);
  if (!process.env.FAULT_LOG) Logger.overrideLogger(false);
  const app = await NestFactory.createApplicationContext(
    MessagingModule.forRoot({
      service: SERVICE,
      transport: rabbitmq({ urls, exchange: EXCHANGE, connectTimeout: 3_000 }),
      reconnect: { initial: 50, max: 500 },
      confirmTimeout: 2_000,
      retry: { attempts: 20, backoff: fixed(50) },
    }),
  );
  const messaging = app.get(Messaging);
  messaging.events.on('connected', ({ host }) => journal.write({ e: 'event', name: 'connected', detail: host }));
  messaging.events.on('disconnected', () => journal.write({ e: 'event', name: 'disconnected' }));
  const concurrency = partitioned({ lanes: LANES });
  await messaging.subscribe(
    { route: ROUTE, concurrency, prefetch: PREFETCH, rabbitmq: { partitions: PARTITIONS } },
    async ({ n }: WorkBody, { id, key, attempt }) => {
      journal.write({ e: 'start', id, attempt, key, n });
      await pause(random.between(5, 30));
      const failed = random.next() < 0.05;
      journal.write({ e: failed ? 'fail' : 'end', id, attempt });
      if (failed) throw new Error('at random');
    },
  );
  process.on('SIGTERM', () => void app.close().then(() => process.disconnect()));
  // Whoever started it is gone, or it has ended.
  process.on('disconnect', () => process.exit());
  process.send?.('ready');
}

main(JSON.parse(process.argv[2]) as PartitionsWorkerSettings).catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
