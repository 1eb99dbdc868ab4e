import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import type { Provider } from '@nestjs/common';
import type { Redis } from 'ioredis';
import { bounded, fixed, type Messaging, MessagingModule, RetryLaterError, UnrecoverableError } from 'nestjs-messaging';
import { Recurring, type RecurringFire } from 'nestjs-messaging/recurring';
import { redis as transport } from 'nestjs-messaging/redis';
import { redisCoordinationStore } from 'nestjs-messaging/stores';
import { describeRedis } from '../brokers/redis.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications } from '../e2e/support/application.js';
import { plainRedis } from './plain.js';

const route = 'order.created';
let prefixes = 0;

/** The rows of docs/redis.md that claim something of this package, by their first cells. */
const rows = (text: string): string[] =>
  text
    .slice(text.indexOf('## Coming from BullMQ'))
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => /^\| (.*?) \|/.exec(line)![1]);

describeRedis('coming from BullMQ', (redis) => {
  const clients: Redis[] = [];

  afterEach(async () => {
    await closeApplications();
    for (const client of clients.splice(0)) client.disconnect();
  });

  /** The option with which processes agree. */
  async function coordinated(): Promise<object> {
    const client = plainRedis(await redis.url());
    clients.push(client);
    return { coordination: redisCoordinationStore({ client, prefix: `bullmq-${process.pid}-${++prefixes}` }) };
  }

  async function start(options: object = {}, providers: Provider[] = []): Promise<Application & { prefix: string }> {
    const prefix = `bullmq-${process.pid}-${++prefixes}`;
    const module = MessagingModule.forRoot({
      service: 'orders',
      transport: transport({ url: await redis.url(), prefix, pollInterval: 100 }),
      retry: { attempts: 3, backoff: fixed(20) },
      ...options,
    });
    return { ...(await boot({ imports: [module], providers })), prefix };
  }

  /** Subscribes, and gives the bodies in the order of their calls. */
  async function handled(
    messaging: Messaging,
    options: object = {},
    handler: (body: number, attempt: number) => unknown = () => undefined,
  ): Promise<number[]> {
    const bodies: number[] = [];
    await messaging.subscribe<number>({ route, ...options }, (body, { attempt }) => {
      bodies.push(body);
      return handler(body, attempt);
    });
    return bodies;
  }

  const cases: Record<string, () => Promise<void>> = {
    async '`queue.add(name, data)`'() {
      const { messaging } = await start();
      const bodies = await handled(messaging);
      expect(await messaging.publisher.publish(route, 1)).toMatchObject({ outcome: 'confirmed' });
      await waitFor(() => bodies.length === 1);
    },
    async '`queue.addBulk([…])`'() {
      const { messaging } = await start();
      const bodies = await handled(messaging);
      await messaging.publisher.publishMany([1, 2, 3].map((body) => ({ route, body })));
      await waitFor(() => bodies.length === 3);
      expect(bodies).toEqual([1, 2, 3]);
    },
    async '`concurrency: 5`'() {
      const { messaging } = await start();
      const open: (() => void)[] = [];
      await handled(messaging, { concurrency: bounded(5) }, () => new Promise<void>((done) => open.push(done)));
      await messaging.publisher.publishMany(Array.from({ length: 8 }, (_, body) => ({ route, body })));
      await waitFor(() => open.length === 5);
      open.splice(0).forEach((done) => done());
      await waitFor(() => open.length === 3);
      open.forEach((done) => done());
    },
    async '`attempts: 1`, `backoff`'() {
      const { messaging } = await start();
      const attempts: number[] = [];
      await handled(messaging, {}, (_, attempt) => {
        attempts.push(attempt);
        throw new Error('not yet');
      });
      await messaging.publisher.publish(route, 1);
      await waitFor(async () => (await messaging.deadLetters.list({ subscription: route })).length === 1);
      expect(attempts).toEqual([1, 2, 3]);
    },
    async '`delay`'() {
      const { messaging } = await start();
      const bodies = await handled(messaging);
      const from = Date.now();
      await messaging.publisher.publish(route, 1, { delay: 300 });
      await messaging.publisher.publish(route, 2);
      await waitFor(() => bodies.length === 2);
      expect(bodies).toEqual([2, 1]);
      expect(Date.now() - from).toBeGreaterThanOrEqual(300);
    },
    async '`jobId`'() {
      const { messaging } = await start();
      const bodies = await handled(messaging, { idempotent: { window: 10 * 86_400_000 } });
      await messaging.publisher.publish(route, 1, { id: 'once' });
      await messaging.publisher.publish(route, 2, { id: 'once' });
      await messaging.publisher.publish(route, 3);
      await waitFor(() => bodies.includes(3));
      expect(bodies).toEqual([1, 3]);
    },
    async '`removeOnComplete: false`'() {
      const { messaging, prefix } = await start();
      const bodies = await handled(messaging);
      await messaging.publisher.publish(route, 1);
      await waitFor(() => bodies.length === 1);
      const client = plainRedis(await redis.url());
      await waitFor(async () => (await client.xlen(`{${prefix}}:stream:orders:${route}:queue`)) === 0);
      client.disconnect();
    },
    async '`removeOnFail: false`, `job.retry()`'() {
      const { messaging } = await start();
      let isBroken = true;
      const bodies = await handled(messaging, { retry: { attempts: 1 } }, () => {
        if (isBroken) throw new Error('broken');
      });
      await messaging.publisher.publish(route, 1);
      await waitFor(async () => (await messaging.deadLetters.list({ subscription: route })).length === 1);
      isBroken = false;
      await messaging.deadLetters.redrive({ subscription: route });
      await waitFor(() => bodies.length === 2);
      await waitFor(async () => (await messaging.deadLetters.list({ subscription: route })).length === 0);
    },
    async '`UnrecoverableError`'() {
      const { messaging } = await start();
      const bodies = await handled(messaging, {}, () => {
        throw new UnrecoverableError('never');
      });
      await messaging.publisher.publish(route, 1);
      await waitFor(async () => (await messaging.deadLetters.list({ subscription: route })).length === 1);
      expect(bodies).toEqual([1]);
    },
    async '`moveToDelayed`, `DelayedError`'() {
      const { messaging } = await start();
      const attempts: number[] = [];
      await handled(messaging, {}, (_, attempt) => {
        if (attempts.push(attempt) === 1) throw new RetryLaterError(50);
      });
      await messaging.publisher.publish(route, 1);
      await waitFor(() => attempts.length === 2);
    },
    async '`worker.pause()`'() {
      const { messaging } = await start();
      const bodies = await handled(messaging);
      messaging.pause(route);
      await messaging.publisher.publish(route, 1);
      expect(bodies).toEqual([]);
      messaging.resume(route);
      await waitFor(() => bodies.length === 1);
    },
    async '`queue.pause()`'() {
      const { messaging } = await start(await coordinated());
      const bodies = await handled(messaging);
      await messaging.pauseEverywhere(route);
      await messaging.publisher.publish(route, 1);
      expect(messaging.health()).toMatchObject({ status: 'degraded' });
      expect(bodies).toEqual([]);
      await messaging.resumeEverywhere(route);
      await waitFor(() => bodies.length === 1);
    },
    async '`limiter: { max, duration }`'() {
      const { messaging } = await start(await coordinated());
      const times: number[] = [];
      await handled(messaging, { limit: { rate: 2, per: 1_000 } }, () => times.push(performance.now()));
      await messaging.publisher.publishMany([1, 2, 3].map((body) => ({ route, body })));
      await waitFor(() => times.length === 3);
      expect(times[2] - times[0]).toBeGreaterThanOrEqual(900);
    },
    async '`deduplication: { id, ttl }`'() {
      const { messaging } = await start(await coordinated());
      const bodies = await handled(messaging);
      const unique = { key: 'invoice', for: 3_600_000 };
      await messaging.publisher.publish(route, 1, { unique });
      expect(await messaging.publisher.publish(route, 2, { unique })).toMatchObject({ duplicate: true });
      await messaging.publisher.publish(route, 3);
      await waitFor(() => bodies.includes(3));
      expect(bodies).toEqual([1, 3]);
    },
    async '`queue.upsertJobScheduler(id, { pattern })`'() {
      class Reports {
        @Recurring('* * * * * *', route)
        due({ at }: RecurringFire): number {
          return at.getTime();
        }
      }
      const { messaging } = await start(await coordinated(), [Reports]);
      const bodies = await handled(messaging);
      await waitFor(() => bodies.length === 2);
      expect(bodies[1] - bodies[0]).toBeGreaterThanOrEqual(1_000);
    },
  };

  for (const [name, run] of Object.entries(cases)) test(name, run);

  test('has a case for each row that has an equal here', () => {
    const text = readFileSync(resolve(__dirname, '../../docs/redis.md'), 'utf8');
    expect(rows(text).sort()).toEqual(Object.keys(cases).sort());
  });
});
