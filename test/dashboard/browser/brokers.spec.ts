import { expect } from '@jest/globals';
import type { TransportFactory } from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { redis } from 'nestjs-messaging/redis';
import { describeNats } from '../../brokers/nats.js';
import { describeRabbit } from '../../brokers/rabbitmq.js';
import { describeRedis } from '../../brokers/redis.js';
import { waitFor } from '../../brokers/wait-for.js';
import { withBrowser } from './visit.js';

const DLQ = 'shop:order.created:dlq';
const { inBrowser, visit } = withBrowser();

/** What an operator does when a handler has failed, from page to page. */
function flow(fresh: () => Promise<TransportFactory>): void {
  inBrowser('from the overview to the queues, into one, to its dead letters, and all redriven', async () => {
    const { shop, page, wrong, go } = await visit({ transport: await fresh() });
    await shop.fail([{ id: 'a' }, { id: 'b' }, { id: 'c' }]);
    shop.orders.fails = false;
    await go('');
    await page.getByText('connected', { exact: true }).waitFor();
    // Counted by the broker now and then.
    const trouble = page.getByRole('link', { name: '3 dead letters are in queues' });
    await trouble.waitFor({ timeout: 60_000 });
    await page.getByRole('link', { name: 'Queues', exact: true }).click();
    await page.getByRole('button', { name: `Look into the queue: ${DLQ}` }).click();
    await page.getByRole('link', { name: /^3, \d+ s ago$/ }).click();
    await page.getByRole('link', { name: 'message-2', exact: true }).waitFor();
    await page.getByRole('link', { name: 'Redrive 3…' }).click();
    await page.getByLabel('One first, then ten').uncheck();
    await page.getByRole('button', { name: 'Redrive 3' }).click();
    await page.getByText('3 redriven, 0 failed.').waitFor({ timeout: 60_000 });
    await waitFor(() => shop.orders.handled.length >= 3, 'all handled', 60_000);
    expect([...shop.orders.handled].sort()).toEqual(['a', 'b', 'c']);
    expect(await shop.messaging.deadLetters.count({ queue: DLQ })).toBe(0);
    await page.getByRole('link', { name: 'Activity', exact: true }).click();
    await page.getByText('3 redriven, 0 failed').waitFor();
    expect(wrong).toEqual([]);
  });
}

describeRabbit('The pages in Chromium over RabbitMQ', (rabbit) =>
  flow(async () => rabbitmq({ url: await rabbit.freshVhostUrl() })),
);
describeNats('The pages in Chromium over NATS', (server) =>
  flow(async () => nats({ servers: await server.url(), syncAlways: true })),
);
describeRedis('The pages in Chromium over Redis', (server) => flow(async () => redis({ url: await server.url() })));
