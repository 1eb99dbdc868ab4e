import { expect, test } from '@jest/globals';
import { Module } from '@nestjs/common';
import { Redis } from 'ioredis';
import { Kafka, logLevel } from 'kafkajs';
import { memory, type SubscribeRequest, type TransportFactory } from 'nestjs-messaging';
import { GolevelupCompatModule } from 'nestjs-messaging/compat/golevelup';
import { kafka } from 'nestjs-messaging/kafka';
import { postgres } from 'nestjs-messaging/postgres';
import { redis } from 'nestjs-messaging/redis';
import {
  applyTopology,
  hasDifferences,
  migrateQueue,
  planTopology,
  type SavedTopologyPlan,
  unconnectedApplication,
} from 'nestjs-messaging/topology';
import { Client as PostgresClient } from 'pg';
import { topologiesOf } from '../../lib/topology/application-topologies.js';
import { describeKafka } from '../brokers/kafka.js';
import { describePostgres } from '../brokers/postgres.js';
import { describeRedis } from '../brokers/redis.js';
import { withApp } from './support/application.js';

const SUBSCRIPTIONS: readonly SubscribeRequest[] = [
  { route: 'order.created' },
  { route: 'invoice', dlq: false, retry: false },
];
const QUEUES = ['add queue shop:order.created:queue', 'add queue shop:invoice:queue'];
const plan = (transport: TransportFactory): Promise<SavedTopologyPlan> =>
  withApp(transport, SUBSCRIPTIONS, (app) => planTopology(app));
const names = ({ connections: [{ entries }] }: SavedTopologyPlan): string[] =>
  entries.map(({ action, kind, name }) => `${action} ${kind} ${kind === 'base' ? '' : name}`.trim());

/**
 * A plan makes nothing; what is applied is there, and nothing else, so that another plan and apply have nothing to do.
 * `list`: all that the broker has, in a plain client's words. Resolves with the plan, and with the list when it was applied.
 */
async function planned(
  transport: TransportFactory,
  list: () => Promise<unknown>,
): Promise<{ before: SavedTopologyPlan; made: unknown }> {
  const empty = await list();
  const before = await plan(transport);
  expect(await list()).toEqual(empty);
  expect(before.connections[0].unseen.join()).toContain('takes away routes that the service had declared before');
  expect(names(await plan(transport))).toEqual(names(before));
  await withApp(transport, SUBSCRIPTIONS, (app) => applyTopology(app, before));
  const made = await list();
  expect(names(await plan(transport))).toEqual([]);
  await withApp(transport, SUBSCRIPTIONS, (app) => applyTopology(app));
  expect(await list()).toEqual(made);
  const migrate = withApp(transport, SUBSCRIPTIONS, (app) => migrateQueue(app, { queue: 'shop:invoice:queue' }));
  await expect(migrate).rejects.toThrow('nothing that messages have to be moved for');
  return { before, made };
}

test('of the embedded broker there is nothing to plan', async () => {
  const told = await plan(memory());
  expect(hasDifferences(told)).toBe(false);
  expect(told.connections[0].unseen).toEqual(['What memory has ends with its process: there is nothing to plan']);
});

test('queues that an application only has made, in the words of golevelup, are of its topology', async () => {
  const queues = [{ name: 'theirs', exchange: 'shop', routingKey: 'made' }];
  @Module({ imports: [GolevelupCompatModule.forRoot({ uri: 'amqp://localhost:1', queues }, { service: 'shop' })] })
  class AppModule {}
  const app = await unconnectedApplication(AppModule);
  const [{ topologies }] = topologiesOf(app);
  await app.close();
  expect(topologies).toMatchObject([{ queue: 'theirs', provision: true }]);
});

describePostgres('a plan by what a check says', (server) => {
  test('tables and queues are planned, made by apply, and there afterwards', async () => {
    const url = await server.url();
    const client = new PostgresClient(url);
    await client.connect();
    const rows = async (text: string): Promise<unknown[]> => (await client.query(text)).rows;
    const list = async (): Promise<unknown> => {
      const tables = await rows("select table_name from information_schema.tables where table_schema = 'messaging' order by 1"); // prettier-ignore
      if (tables.length === 0) return [];
      const [queues, bound] = [
        await rows('select name, dead_letter_queue from messaging.queues order by 1'),
        await rows('select topic, pattern from messaging.bindings order by 1, 2'),
      ];
      return { tables, queues, bound };
    };
    const { before, made } = await planned(postgres({ url }), list);
    await client.end();
    expect(names(before)).toEqual(['add base', ...QUEUES]);
    expect(made).toMatchObject({
      queues: [
        { name: 'shop:invoice:queue', dead_letter_queue: null },
        { name: 'shop:order.created:dlq', dead_letter_queue: null },
        { name: 'shop:order.created:queue', dead_letter_queue: 'shop:order.created:dlq' },
      ],
      bound: [
        { topic: '', pattern: 'shop:order.created:dlq' },
        { topic: 'events', pattern: 'invoice' },
        { topic: 'events', pattern: 'order.created' },
      ],
    });
  }, 60_000);
});

describeRedis('a plan by what a check says', (server) => {
  test('streams are planned, made by apply, and there afterwards', async () => {
    const url = await server.url();
    const client = new Redis(url);
    const prefix = 'planned';
    const list = async (): Promise<unknown> => {
      const keys = (await client.keys(`{${prefix}}:*`)).sort();
      const kinds = await Promise.all(keys.map((key) => client.type(key)));
      const bound = await client.hgetall(`{${prefix}}:bindings`);
      return { keys: keys.map((key, at) => `${kinds[at]} ${key}`), bound: Object.keys(bound).sort() };
    };
    const { before, made } = await planned(redis({ url, prefix }), list);
    await client.quit();
    expect(names(before).filter((one) => one !== 'add base')).toEqual(QUEUES);
    expect(before.connections[0].entries.at(-1)!.wanted).toEqual({ stream: '{planned}:stream:shop:invoice:queue' });
    const { keys } = made as { keys: string[] };
    expect(keys.filter((key) => key.startsWith('stream'))).toEqual(
      ['shop:invoice:queue', 'shop:order.created:dlq', 'shop:order.created:queue'].map((queue) => `stream {planned}:stream:${queue}`), // prettier-ignore
    );
  }, 60_000);
});

describeKafka('a plan by what a check says', (server) => {
  test('topics are planned with partitions and retention, made so by apply, and there afterwards', async () => {
    const brokers = await server.url();
    const admin = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    const topic = 'planned';
    const list = async (): Promise<unknown> => {
      const { topics } = await admin.fetchTopicMetadata();
      const own = topics.filter(({ name }) => name.startsWith(topic)).sort((a, b) => (a.name < b.name ? -1 : 1));
      const resources = own.map(({ name }) => ({ type: 2, name, configNames: ['retention.ms'] }));
      const { resources: configs } = resources.length > 0 ? await admin.describeConfigs({ resources, includeSynonyms: false }) : { resources: [] }; // prettier-ignore
      return own.map(({ name, partitions }) => ({
        name,
        partitions: partitions.length,
        kept: configs.find(({ resourceName }) => resourceName === name)!.configEntries[0].configValue,
      }));
    };
    const { before, made } = await planned(kafka({ brokers, topic, partitions: 3 }), list);
    await admin.disconnect();
    expect(names(before).filter((one) => one !== 'add base')).toEqual(QUEUES);
    expect(before.connections[0].entries.at(-1)!.wanted).toEqual({
      topic: 'planned.queue.shop_3Ainvoice_3Aqueue',
      partitions: 3,
      replicas: 1,
      topicConfiguration: { 'retention.ms': -1 },
    });
    expect(made).toContainEqual({ name: 'planned.queue.shop_3Ainvoice_3Aqueue', partitions: 3, kept: '-1' });
    const topics = (made as { name: string }[]).map(({ name }) => name);
    const delays = topics.filter((name) => name.startsWith('planned.delay.'));
    expect(topics.filter((name) => !delays.includes(name))).toEqual([
      'planned',
      ...['shop_3Ainvoice_3Aqueue', 'shop_3Aorder.created_3Adlq', 'shop_3Aorder.created_3Aqueue'].map((one) => `planned.queue.${one}`), // prettier-ignore
    ]);
    const told = before.connections[0].entries.map(({ note }) => note).join();
    const waits = delays.map((name) => Number(name.split('.').at(-1))).sort((one, other) => one - other);
    expect(told).toContain(`the topics «planned.delay.${waits[0]}» to «planned.delay.${waits.at(-1)}»`);
    for (const name of topics.filter((one) => !delays.includes(one))) expect(told).toContain(`«${name}»`);
  }, 120_000);
});
