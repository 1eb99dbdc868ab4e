import { beforeAll, expect, test } from '@jest/globals';
import { NestFactory } from '@nestjs/core';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { SubscribeRequest, TransportFactory } from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import {
  applyTopology,
  hasDifferences,
  migrateQueue,
  planTopology,
  type SavedPlanEntry,
  type SavedTopologyPlan,
} from 'nestjs-messaging/topology';
import { topologiesOf } from '../../lib/topology/application-topologies.js';
import { connected } from '../../lib/topology/topology-plan.js';
import { describeNats } from '../brokers/nats.js';
import { moduleWith, withApp } from './support/application.js';

const SUBSCRIPTIONS: readonly SubscribeRequest[] = [
  { route: 'order.created' },
  { route: 'invoice.#', name: 'invoices', dlq: false, retry: false },
];

const plan = (transport: TransportFactory, requests = SUBSCRIPTIONS): Promise<SavedTopologyPlan> =>
  withApp(transport, requests, (app) => planTopology(app));
const apply = (transport: TransportFactory, saved?: SavedTopologyPlan, requests = SUBSCRIPTIONS) =>
  withApp(transport, requests, (app) => applyTopology(app, saved));
const entriesOf = ({ connections: [{ entries }] }: SavedTopologyPlan): readonly SavedPlanEntry[] => entries;

/** Streams and consumers with their configurations, as the server tells them. */
async function listing(servers: string): Promise<unknown> {
  const connection = await connect({ servers });
  try {
    const manager = await jetstreamManager(connection);
    const found: unknown[] = [];
    for await (const { config } of manager.streams.list()) {
      found.push(config);
      for await (const consumer of manager.consumers.list(config.name)) found.push(consumer.config);
    }
    return found;
  } finally {
    await connection.close();
  }
}

describeNats('a plan, its application and a migration', (server) => {
  let servers: string;
  let transport: TransportFactory;
  beforeAll(async () => {
    servers = await server.url();
    transport = nats({ servers, syncAlways: true });
  }, 60_000);

  test('a plan makes nothing; what is applied is what was planned, and a start makes nothing more', async () => {
    const saved = await plan(transport);
    expect(await listing(servers)).toEqual([]);
    expect(entriesOf(saved).map(({ action, kind, name }) => `${action} ${kind} ${name}`)).toEqual([
      'add stream events',
      'add stream events-delayed',
      'add consumer events-delayed forwarder',
      'add queue shop:order.created:dlq',
      'add queue shop:order.created:queue',
      'add queue shop:invoices:queue',
    ]);
    await apply(transport, saved);
    const applied = await listing(servers);
    expect(applied).toHaveLength(6);
    expect(hasDifferences(await plan(transport))).toBe(false);
    const app = await NestFactory.createApplicationContext(moduleWith(transport, SUBSCRIPTIONS), { logger: false });
    await app.close();
    expect(await listing(servers)).toEqual(applied);
  }, 60_000);

  test('what can be changed in place is changed: a lease, a dead-letter queue, further routes and topics', async () => {
    const other = nats({ servers, syncAlways: true, ackWait: 60_000 });
    const requests: readonly SubscribeRequest[] = [
      { route: ['order.created', 'order.paid'], name: 'order.created', dlq: { queue: 'shop:orders:dead' } },
      { route: 'invoice.#', name: 'invoices', dlq: false, retry: false },
      { route: 'far', topic: 'elsewhere' },
    ];
    const planned = await plan(other, requests);
    const changes = entriesOf(planned).filter(({ action }) => action === 'change');
    expect(changes.flatMap(({ name, differences }) => differences!.map((one) => `${name}: ${one.name}`))).toEqual([
      'events: subjects',
      'shop:order.created:queue: patterns',
      'shop:order.created:queue: dead-letter queue',
      'shop:order.created:queue: ack_wait',
      'shop:invoices:queue: ack_wait',
    ]);
    await apply(other, planned, requests);
    const after = await plan(other, requests);
    expect(entriesOf(after).map(({ action, name }) => `${action} ${name}`)).toEqual([
      'unmanaged shop:order.created:dlq',
    ]);
    const app = await NestFactory.createApplicationContext(moduleWith(other, requests), { logger: false });
    await app.close();
  }, 60_000);

  test('another dead-letter queue is written down beside what was bound since the plan', async () => {
    const [before, further, requests] = [
      { dlq: { queue: 'shop:one' } },
      { route: ['bound', 'bound.late'], dlq: { queue: 'shop:one' } },
      { dlq: { queue: 'shop:two' } },
    ].map((one): SubscribeRequest[] => [{ route: 'bound', name: 'bound', ...one }]);
    await apply(transport, undefined, before);
    await withApp(transport, requests, async (app) => {
      const [one] = topologiesOf(app);
      await connected(one, {}, async () => {
        const planned = await one.transport.provisioning!.plan(one.topologies);
        await apply(transport, undefined, further);
        for (const entry of planned.entries) await entry.apply?.();
      });
    });
    const after = entriesOf(await plan(transport, requests));
    expect(after.filter(({ name }) => name.includes('shop:bound:queue'))).toMatchObject([
      { action: 'unmanaged', name: 'events → shop:bound:queue by «bound.late»' },
    ]);
  }, 60_000);

  test('a queue of another topic is migrated once what waits by the old one is handled', async () => {
    const [before, requests] = ['old', 'new'].map((topic): SubscribeRequest[] => [
      { route: 'moved', topic, dlq: false },
    ]);
    await apply(transport, undefined, before);
    const connection = await connect({ servers });
    const client = (await jetstreamManager(connection)).jetstream();
    await client.publish('old.moved', 'one');
    const planned = entriesOf(await plan(transport, requests));
    expect(planned).toContainEqual(expect.objectContaining({ action: 'migrate', name: 'shop:moved:queue' }));
    await expect(apply(transport, undefined, requests)).rejects.toThrow("topology migrate --queue 'shop:moved:queue'");
    const migrate = () => withApp(transport, requests, (app) => migrateQueue(app, { queue: 'shop:moved:queue' }));
    const untouched = await listing(servers);
    await expect(migrate()).rejects.toThrow(/1 messages of «old» wait in «shop:moved:queue»[^]*Nothing was changed/);
    const consumer = await client.consumers.get('events', 'shop:moved:queue');
    const message = await consumer.next();
    expect(message!.string()).toBe('one');
    await expect(migrate()).rejects.toThrow(/and 1 are being handled[^]*Nothing was changed/);
    await message!.ackAck();
    expect(await listing(servers)).toEqual(untouched);
    await withApp(transport, requests, async (app) => {
      const [one] = topologiesOf(app);
      await connected(one, {}, async () => {
        const migration = await one.transport.provisioning!.migration!(one.topologies, 'shop:moved:queue');
        const unbinding = await migration.next();
        await client.publish('old.moved', 'late');
        await unbinding!.act!();
        await expect(migration.next()).rejects.toThrow('Nothing is routed to «shop:moved:queue» now, until this was called again'); // prettier-ignore
      });
    });
    await (await consumer.next())!.ackAck();
    expect(await migrate()).toMatchObject({ changed: true });
    expect(entriesOf(await plan(transport, requests)).some(({ action }) => action === 'migrate')).toBe(false);
    await client.publish('new.moved', 'two');
    expect((await (await client.consumers.get('events', 'shop:moved:queue')).next())!.string()).toBe('two');
    await connection.close();
  }, 60_000);
});
