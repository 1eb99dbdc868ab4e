import { beforeAll, expect, test } from '@jest/globals';
import { NestFactory } from '@nestjs/core';
import type { SubscribeRequest, TransportFactory } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { applyTopology, hasDifferences, planTopology, type SavedTopologyPlan } from 'nestjs-messaging/topology';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { moduleWith, withApp } from './support/application.js';
import { listing, onChannel } from './support/rabbitmq.js';

const SUBSCRIPTIONS: readonly SubscribeRequest[] = [
  { route: 'order.created', retry: { attempts: 3, backoff: () => 1_000 } },
  { route: 'invoice.#', name: 'invoices', dlq: false, retry: false },
];

const plan = (transport: TransportFactory, requests = SUBSCRIPTIONS): Promise<SavedTopologyPlan> =>
  withApp(transport, requests, (app) => planTopology(app));
const apply = (transport: TransportFactory, saved?: SavedTopologyPlan, requests = SUBSCRIPTIONS) =>
  withApp(transport, requests, (app) => applyTopology(app, saved));

const namesOf = ({ connections: [{ entries }] }: SavedTopologyPlan, action: string, kind: string): string[] =>
  entries.filter((one) => one.action === action && one.kind === kind).map(({ name }) => name);

describeRabbit('a plan and its application', (rabbit) => {
  let url: string;
  let transport: TransportFactory;
  beforeAll(async () => {
    url = await rabbit.freshVhostUrl();
    transport = rabbitmq({ url });
  }, 60_000);

  test('a plan makes nothing, and lists what a start makes', async () => {
    const before = await listing(rabbit, url);
    const planned = await plan(transport);
    expect(await listing(rabbit, url)).toBe(before);
    expect(hasDifferences(planned)).toBe(true);
    expect(namesOf(planned, 'add', 'queue')).toEqual(
      expect.arrayContaining([
        'shop:declared',
        'shop:order.created:dlq',
        'shop:order.created:queue',
        'shop:invoices:queue',
      ]),
    );
    expect(namesOf(planned, 'add', 'exchange')).toEqual(
      expect.arrayContaining(['events', 'events.dlx', 'events.delay']),
    );
    expect(namesOf(planned, 'add', 'binding')).toContain('events → shop:order.created:queue by «order.created»');
    expect(JSON.stringify(planned)).not.toContain('guest');
  }, 60_000);

  test('what is applied is what was planned, and a start of the application makes nothing more', async () => {
    const saved = await plan(transport);
    await apply(transport, saved);
    const applied = await listing(rabbit, url);
    expect(namesOf(await plan(transport), 'add', 'queue')).toEqual([]);
    expect(hasDifferences(await plan(transport))).toBe(false);
    const app = await NestFactory.createApplicationContext(moduleWith(transport, SUBSCRIPTIONS), { logger: false });
    await app.close();
    expect(await listing(rabbit, url)).toBe(applied);
    expect(hasDifferences(await plan(transport))).toBe(false);
  }, 60_000);

  test('a kept plan is refused once the broker has changed, with what has', async () => {
    const more = [...SUBSCRIPTIONS, { route: 'late' }];
    const saved = await plan(transport, more);
    await onChannel(url, (channel) => channel.deleteQueue('shop:invoices:queue'));
    const before = await listing(rabbit, url);
    await expect(apply(transport, saved, more)).rejects.toThrow(
      /has changed since the plan was saved; nothing was made[^]*new: add queue shop:invoices:queue/,
    );
    expect(await listing(rabbit, url)).toBe(before);
    await apply(transport, undefined, more);
  }, 60_000);

  test('a queue with other arguments is to be migrated: apply refuses it by name, and makes nothing else', async () => {
    const classic = [...SUBSCRIPTIONS, { route: 'old' }];
    await onChannel(url, (channel) => channel.assertQueue('shop:old:queue', { durable: true }));
    const before = await listing(rabbit, url);
    const planned = await plan(transport, classic);
    expect(planned.connections[0].entries).toContainEqual(
      expect.objectContaining({
        action: 'migrate',
        name: 'shop:old:queue',
        differences: expect.arrayContaining([
          { name: 'x-queue-type', wanted: 'quorum', found: rabbit.version.startsWith('3.') ? null : 'classic' },
        ]),
      }),
    );
    await expect(apply(transport, undefined, classic)).rejects.toThrow(
      "npx nestjs-messaging topology migrate --queue 'shop:old:queue'",
    );
    expect(await listing(rabbit, url)).toBe(before);
  }, 60_000);

  test('what is no longer asked for is unmanaged, and stays', async () => {
    const fewer = await plan(transport, SUBSCRIPTIONS);
    expect(namesOf(fewer, 'unmanaged', 'queue')).toEqual(['shop:late:dlq', 'shop:late:queue']);
    expect(hasDifferences(fewer)).toBe(false);
    const before = await listing(rabbit, url);
    await apply(transport, fewer);
    expect(await listing(rabbit, url)).toBe(before);
  }, 60_000);
});
