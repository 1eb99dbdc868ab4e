import { beforeAll, expect, test } from '@jest/globals';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { applyTopology, hasDifferences, migrateQueue, planTopology } from 'nestjs-messaging/topology';
import { commandToUnbind } from '../../lib/transports/rabbitmq/topology/former-bindings.js';
import { describeRabbitNode } from '../brokers/rabbitmq.js';
import type { RabbitNode } from '../brokers/rabbitmq/node.js';
import { withApp } from './support/application.js';
import { legacy, QUEUE, WANTED } from './support/legacy.js';
import { onMigration } from './support/migration.js';
import { onChannel } from './support/rabbitmq.js';

describeRabbitNode('topology with the management plugin', (rabbit) => {
  let node: RabbitNode;
  beforeAll(async () => {
    node = await rabbit.start({ plugins: ['rabbitmq_management'] });
  }, 120_000);

  test('bindings are seen as they are; what others have bound is kept; a password is in no error', async () => {
    const url = node.url();
    const management = node.managementUrl();
    const transport = rabbitmq({ url, management });
    await legacy(url, 3);
    await onChannel(url, (channel) => channel.bindQueue(QUEUE, 'amq.topic', 'theirs'));
    await withApp(transport, WANTED, (app) => migrateQueue(app, { queue: QUEUE }));
    await withApp(transport, WANTED, (app) => applyTopology(app));
    const plan = () => withApp(transport, WANTED, (app) => planTopology(app));
    const clean = await plan();
    expect(hasDifferences(clean)).toBe(false);
    expect(clean.connections[0]).toMatchObject({
      unseen: [],
      entries: [{ action: 'unmanaged', kind: 'binding', name: 'amq.topic → legacy by «theirs»' }],
    });
    await onChannel(url, (channel) => channel.unbindQueue(QUEUE, 'events', 'legacy.#'));
    expect((await plan()).connections[0].entries).toContainEqual(
      expect.objectContaining({ action: 'add', kind: 'binding', name: 'events → legacy by «legacy.#»' }),
    );
    const wrong = rabbitmq({ url, management: management.replace('guest:guest', 'me:hunter2') });
    const refused = await withApp(wrong, WANTED, (app) => planTopology(app)).catch((error: Error) => error.message);
    expect(refused).toMatch(/management plugin of RabbitMQ at 127\.0\.0\.1:\d+ answers with 401/);
    expect(refused).not.toContain('hunter2');
  }, 120_000);

  test('a queue whose messages somebody holds without consuming is not deleted', async () => {
    const url = node.url();
    await onChannel(url, (channel) => channel.deleteQueue(QUEUE));
    await legacy(url, 2);
    await onMigration(rabbitmq({ url, management: node.managementUrl() }), QUEUE, async (migration) => {
      expect(migration.warnings).toEqual([]);
      await (await migration.next())!.act!();
      await onChannel(url, async (channel) => {
        for (let count = 0; count < 2; count++) await channel.get(QUEUE);
        const deleting = await migration.next();
        expect(deleting!.what).toBe('delete «legacy»');
        await expect(deleting!.act!()).rejects.toThrow('2 messages of the queue «legacy» are held by a process');
      });
    });
    expect(await onChannel(url, (channel) => channel.checkQueue(QUEUE))).toMatchObject({ messageCount: 2 });
  }, 120_000);

  test('the command that unbinds names the binding as the broker does: any key, and arguments', async () => {
    const [queue, exchange] = ['unbinding', 'amq.headers'];
    const { origin, username, password } = new URL(node.managementUrl());
    const headers = { authorization: `Basic ${btoa(`${username}:${password}`)}` };
    const api = (method: string, path = ''): Promise<Response> =>
      fetch(`${origin}/api/bindings/%2F/e/${exchange}/q/${queue}${path}`, { method, headers });
    const named = (key: string, given?: object): string =>
      /properties_key='(.*?)'/.exec(commandToUnbind({ queue, exchange, key, arguments: given as never }))![1];
    const remove = async (key: string): Promise<number> => (await api('DELETE', `/${encodeURIComponent(key)}`)).status;
    const keys = ['', 'order.created', 'order.#', "it's ~ü% +"];
    const given = { 'x-match': 'all', tenant: 'blue' };
    await onChannel(node.url(), async (channel) => {
      await channel.assertQueue(queue);
      for (const key of keys) await channel.bindQueue(queue, exchange, key);
      for (const key of ['', 'by.tenant']) await channel.bindQueue(queue, exchange, key, given);
    });
    for (const key of keys) expect([key, await remove(named(key))]).toEqual([key, 204]);
    expect(commandToUnbind({ queue, exchange, key: '', arguments: given })).toContain(JSON.stringify(given));
    const odd = { queue: "it's", exchange: "o'clock", key: 'a', arguments: {} };
    expect(commandToUnbind(odd)).toContain(`source='o'\\''clock' destination_type=queue destination='it'\\''s'`);
    expect(await remove('by.tenant')).toBe(404);
    const left = (await (await api('GET')).json()) as { routing_key: string; properties_key: string }[];
    expect(left).toHaveLength(2);
    for (const { routing_key: key, properties_key: shown } of left) {
      expect(named(key, given)).toMatch(/~…$/);
      expect(shown.startsWith(named(key, given).slice(0, -1))).toBe(true);
      expect(await remove(shown)).toBe(204);
    }
  }, 120_000);
});
