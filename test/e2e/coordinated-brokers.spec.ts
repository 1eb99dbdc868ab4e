import { afterEach, expect, test } from '@jest/globals';
import { type Messaging, MessagingModule, type TransportFactory } from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import {
  type CoordinationStoreFactory,
  natsCoordinationStore,
  postgresCoordinationStore,
  redisCoordinationStore,
} from 'nestjs-messaging/stores';
import { describeNats } from '../brokers/nats.js';
import { PostgresBroker } from '../brokers/postgres.js';
import { announcedPostgres } from '../brokers/postgres/availability.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { RedisBroker } from '../brokers/redis.js';
import { announcedRedis } from '../brokers/redis/availability.js';
import { waitFor } from '../brokers/wait-for.js';
import { plainRedis } from '../redis/plain.js';
import { boot, closeApplications } from './support/application.js';

const endings: (() => unknown)[] = [];
afterEach(async () => {
  await closeApplications();
  for (const end of endings.splice(0)) await end();
});

/** Limits, unique publishes and pauses of two processes of a service. */
async function coordinated(transport: TransportFactory, stores: readonly CoordinationStoreFactory[]): Promise<void> {
  const handled: string[] = [];
  let running = 0;
  let most = 0;
  const processes: Messaging[] = [];
  for (const coordination of stores) {
    const { messaging } = await boot({
      imports: [MessagingModule.forRoot({ service: 'shop', transport, coordination })],
    });
    await messaging.subscribe<{ n: string }>({ route: 'job', limit: { concurrency: 1 } }, async ({ n }) => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 20));
      running--;
      handled.push(n);
    });
    processes.push(messaging);
  }
  const [one, two] = processes;
  const unique = { key: 'a', for: 600_000 };
  const receipts = await Promise.all(
    [one, two, one, two].map(({ publisher }) => publisher.publish('job', { n: 'unique' }, { unique })),
  );
  expect(receipts.filter(({ duplicate }) => !duplicate).length).toBe(1);
  expect(new Set(receipts.map(({ id }) => id)).size).toBe(1);
  for (let n = 0; n < 4; n++) await one.publisher.publish('job', { n: `${n}` });
  await waitFor(() => handled.length === 5, 'all messages');
  expect([...handled].sort()).toEqual(['0', '1', '2', '3', 'unique']);
  expect(most).toBe(1);

  const states = (): unknown[] => processes.map((messaging) => messaging.health().consumers[0].state);
  await one.pauseEverywhere('job');
  await waitFor(() => states().every((state) => state === 'paused'), 'a pause in both');
  await two.publisher.publish('job', { n: 'paused' });
  await two.resumeEverywhere('job');
  await waitFor(() => handled.includes('paused'), 'what came meanwhile');
  await waitFor(() => states().every((state) => state === 'consuming'), 'both to go on');
  expect(handled.length).toBe(6);
  expect(one.health()).toMatchObject({ status: 'up', coordination: { reachable: true } });
}

const TITLE = 'two processes keep a limit, publish once, and pause together';
const TIMEOUT_MS = 120_000;

describeRabbit('coordination on RabbitMQ', (rabbit) => {
  const found = announcedRedis().available.at(-1);
  const redis = found && new RedisBroker(found);
  (redis ? test : test.skip)(
    `by Redis: ${TITLE}`,
    async () => {
      const url = await redis!.url();
      const stores = [1, 2].map(() => {
        const client = plainRedis(url);
        endings.push(() => client.disconnect());
        return redisCoordinationStore({ client, prefix: `e2e-${rabbit.version}` });
      });
      await coordinated(rabbitmq({ url: await rabbit.freshVhostUrl() }), stores);
    },
    TIMEOUT_MS,
  );
});

describeNats('coordination on NATS', (server) => {
  const found = announcedPostgres().available.at(-1);
  const postgres = found && new PostgresBroker(found);
  (postgres ? test : test.skip)(
    `by PostgreSQL: ${TITLE}`,
    async () => {
      const url = await postgres!.url();
      const stores = [1, 2].map(() => postgresCoordinationStore({ url, schema: 'e2e' }));
      await coordinated(nats({ servers: await server.url() }), stores);
    },
    TIMEOUT_MS,
  );
  test(
    `by its own key-value store: ${TITLE}`,
    async () => {
      const servers = await server.url();
      await coordinated(nats({ servers }), [natsCoordinationStore({ servers }), natsCoordinationStore({ servers })]);
    },
    TIMEOUT_MS,
  );
});
