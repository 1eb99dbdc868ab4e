import { expect, test } from '@jest/globals';
import { Module } from '@nestjs/common';
import { memory, type TransportFactory } from 'nestjs-messaging';
import { GolevelupCompatModule } from 'nestjs-messaging/compat/golevelup';
import { postgres } from 'nestjs-messaging/postgres';
import {
  applyTopology,
  hasDifferences,
  migrateQueue,
  planTopology,
  type SavedTopologyPlan,
  unconnectedApplication,
} from 'nestjs-messaging/topology';
import { topologiesOf } from '../../lib/topology/application-topologies.js';
import { describePostgres } from '../brokers/postgres.js';
import { withApp } from './support/application.js';

const SUBSCRIPTIONS = [{ route: 'order.created' }, { route: 'invoice', dlq: false as const, retry: false as const }];
const plan = (transport: TransportFactory): Promise<SavedTopologyPlan> =>
  withApp(transport, SUBSCRIPTIONS, (app) => planTopology(app));

test('of the embedded broker there is nothing to plan', async () => {
  const planned = await plan(memory());
  expect(hasDifferences(planned)).toBe(false);
  expect(planned.connections[0].unseen).toEqual(['What memory has ends with its process: there is nothing to plan']);
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
    const transport = postgres({ url: await server.url() });
    const names = ({ connections: [{ entries }] }: SavedTopologyPlan): string[] =>
      entries.map(({ action, kind, name }) => `${action} ${kind} ${kind === 'base' ? '' : name}`.trim());
    const before = await plan(transport);
    expect(before.connections[0].unseen.join()).toContain('takes away routes that the service had declared before');
    expect(names(before)).toEqual(['add base', 'add queue shop:order.created:queue', 'add queue shop:invoice:queue']);
    expect(names(await plan(transport))).toEqual(names(before));
    await withApp(transport, SUBSCRIPTIONS, (app) => applyTopology(app, before));
    expect(names(await plan(transport))).toEqual([]);
    const migrate = withApp(transport, SUBSCRIPTIONS, (app) => migrateQueue(app, { queue: 'shop:invoice:queue' }));
    await expect(migrate).rejects.toThrow('nothing that messages have to be moved for');
  }, 60_000);
});
