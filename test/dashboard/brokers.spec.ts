import { afterEach, describe, expect, test } from '@jest/globals';
import type { TransportFactory } from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { postgres } from 'nestjs-messaging/postgres';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { redis } from 'nestjs-messaging/redis';
import { describeNats } from '../brokers/nats.js';
import { describePostgres } from '../brokers/postgres.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { describeRedis } from '../brokers/redis.js';
import { waitFor } from '../brokers/wait-for.js';
import { closeShops, seen, Shop } from './support.js';

afterEach(closeShops);

const DLQ = 'shop:order.created:dlq';
const COUNT = 8;
const WINDOW = { canary: { stages: [1], window: 60_000 } };

/** From a handler that fails to all of its messages handled, by the API alone, as the pages use it. */
function flow(fresh: () => Promise<TransportFactory>): void {
  test('queues, groups, a plan, a dry run, a canary that fails, and the rest while the page is closed', async () => {
    const shop = await Shop.open({ transport: await fresh() });
    const ended = async (): Promise<any> => {
      await waitFor(async () => /ended|failed/.test((await shop.get('redrives'))[0]?.state), 'the redrive', 60_000);
      return (await shop.get('redrives'))[0];
    };
    const redrive = async (options: object): Promise<any> => {
      const answer = await shop.act('POST', 'redrives', { ...(await seen(shop)), options });
      expect(answer.status).toBe(202);
      return answer.json();
    };
    await shop.fail(Array.from({ length: COUNT }, (_, at) => ({ id: `o${at}` })));
    const { deadLetterQueues } = await shop.get('queues');
    expect(deadLetterQueues.map(({ queue }: { queue: string }) => queue)).toContain(DLQ);
    expect(await shop.get('dead-letters')).toMatchObject({ count: 0 });
    await shop.act('POST', 'looks', { queue: DLQ });
    const { groups } = await shop.get('dead-letters/groups');
    const group = { reason: 'attempts-exhausted', error: 'StockError', queue: DLQ, route: 'order.created' };
    expect(groups).toMatchObject([{ ...group, count: COUNT }]);
    expect(await shop.get('plan')).toMatchObject({ count: COUNT, queues: [{ queue: DLQ, count: COUNT }] });

    await redrive({ dryRun: true });
    expect(await ended()).toMatchObject({ state: 'ended', result: { matched: COUNT, done: 0 } });
    await redrive(WINDOW);
    expect(await ended()).toMatchObject({ result: { done: 1, stopped: 'canary', canaries: [{ fate: 'failed' }] } });
    shop.orders.fails = false;
    await shop.again(COUNT);

    const page = await shop.call('GET', '/messaging/api/v1/live');
    const started = await redrive({ ...WINDOW, rateLimit: 8 });
    await page.body!.cancel();
    const run = async (): Promise<any> =>
      (await shop.get('redrives')).find(({ id }: { id: string }) => id === started.id);
    await waitFor(async () => (await run()).progress?.done > 0, 'progress that another page is told', 60_000);
    expect(await ended()).toMatchObject({ id: started.id, state: 'ended', result: { done: COUNT, failed: 0 } });
    await waitFor(() => shop.orders.handled.length >= COUNT, 'all handled', 60_000);
    expect([...shop.orders.handled].sort()).toEqual(Array.from({ length: COUNT }, (_, at) => `o${at}`));
    expect(await shop.messaging.deadLetters.count({ queue: DLQ })).toBe(0);
    expect(await shop.get('dead-letters')).toMatchObject({ count: 0 });
  }, 180_000);

  test('a dead letter is shown, and deleted by what was shown', async () => {
    const shop = await Shop.open({ transport: await fresh() });
    await shop.fail([{ id: 'a' }, { id: 'b' }]);
    await shop.act('POST', 'looks', { queue: DLQ });
    const { letters } = await shop.get('dead-letters');
    const [{ key }] = letters;
    expect(await shop.get(`dead-letters/${key}`)).toMatchObject({ queue: DLQ, error: { class: 'StockError' } });
    const deleted = await shop.act('POST', 'dead-letters/delete', await seen(shop, `key:${key}`));
    expect(await deleted.json()).toEqual({ done: 1 });
    await shop.again(1);
  }, 120_000);
}

describe('The dashboard over', () => {
  describeRabbit('RabbitMQ', (rabbit) => flow(async () => rabbitmq({ url: await rabbit.freshVhostUrl() })));
  describeNats('NATS', (server) => flow(async () => nats({ servers: await server.url(), syncAlways: true })));
  describePostgres('PostgreSQL', (server) => flow(async () => postgres({ url: await server.url() })));
  describeRedis('Redis', (server) => flow(async () => redis({ url: await server.url() })));
});
