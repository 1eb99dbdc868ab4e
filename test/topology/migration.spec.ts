import { expect, test } from '@jest/globals';
import type { TransportFactory } from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { applyTopology, migrateQueue, type MigratedQueue } from 'nestjs-messaging/topology';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { withApp } from './support/application.js';
import { onMigration } from './support/migration.js';
import { legacy, QUEUE, taken, WANTED } from './support/legacy.js';
import { listing, onChannel } from './support/rabbitmq.js';

const migrate = (transport: TransportFactory, options: object = {}): Promise<MigratedQueue> =>
  withApp(transport, WANTED, (app) => migrateQueue(app, { queue: QUEUE, ...options }));

describeRabbit('a queue that is migrated', (rabbit) => {
  test('a classic queue becomes a quorum queue under its name, with its messages in their order', async () => {
    const url = await rabbit.freshVhostUrl();
    const ids = await legacy(url, 100);
    const steps: string[] = [];
    const warnings: string[] = [];
    const onWarning = (text: string) => warnings.push(text);
    const dry = await migrate(rabbitmq({ url }), { dryRun: true, onWarning });
    for (const told of [warnings[0], dry.steps.join()])
      expect(told).toMatch(/what others have bound to «legacy» is not seen[^]*holds without consuming[^]*are not seen/);
    expect(dry).toMatchObject({
      changed: true,
      moved: 0,
      steps: expect.arrayContaining([expect.stringContaining('delete «legacy.migrating»')]),
    });
    const done = await migrate(rabbitmq({ url }), {
      onStep: (what: string) => steps.push(`${warnings.length} warnings: ${what}`),
      onWarning,
    });
    expect(done).toMatchObject({ changed: true, moved: 200 });
    expect(steps).toEqual(done.steps.map((step) => `2 warnings: ${step}`));
    const after = await listing(rabbit, url);
    expect(after).not.toContain('migrating');
    const found = await taken(url);
    expect(found.map(({ id }) => id)).toEqual(ids);
    expect(found[0]).toMatchObject({
      body: `{"id":"${ids[0]}"}`,
      headers: { tenant: 7, 'messaging-origin-route': 'legacy.order' },
    });
    expect(await migrate(rabbitmq({ url }))).toEqual({ queue: QUEUE, changed: false, steps: [], moved: 0 });
  }, 120_000);

  test('while it is consumed it is refused, and nothing of it is changed', async () => {
    const url = await rabbit.freshVhostUrl();
    await legacy(url, 3);
    await onChannel(url, async (channel) => {
      await channel.consume(QUEUE, () => {});
      const before = await listing(rabbit, url);
      await expect(migrate(rabbitmq({ url }))).rejects.toThrow(
        /1 consumers are at the queue «legacy»[^]*End the processes/,
      );
      expect(await listing(rabbit, url)).toBe(before);
    });
  }, 60_000);

  test('it does not go on where another one has begun since its connection was lost', async () => {
    const url = await rabbit.freshVhostUrl();
    await legacy(url, 1);
    await onMigration(rabbitmq({ url }), QUEUE, async (migration) => {
      await migration.begin();
      await migration.next();
      // As the broker does it with a connection.
      await migration.end();
      await onChannel(url, async (channel) => {
        await channel.assertQueue('legacy.migrating.owner', { exclusive: true, durable: false });
        await expect(migration.next()).rejects.toThrow('Another process migrates «legacy»');
      });
    });
  }, 60_000);

  test('a queue that is made anew meanwhile is not deleted', async () => {
    const url = await rabbit.freshVhostUrl();
    await legacy(url, 0);
    await onMigration(rabbitmq({ url }), QUEUE, async (migration) => {
      await (await migration.next())!.act!();
      const deleting = await migration.next();
      expect(deleting!.what).toBe('delete «legacy»');
      // Another one goes on, to its end.
      expect(await migrate(rabbitmq({ url }))).toMatchObject({ changed: true });
      const after = await listing(rabbit, url);
      await deleting!.act!();
      expect(await listing(rabbit, url)).toBe(after);
    });
  }, 60_000);

  test('what is bound by headers is bound by them afterwards, and by nothing else', async () => {
    const url = await rabbit.freshVhostUrl();
    const exchanges = [{ name: 'by-header', type: 'headers' as const }];
    const bindings = [{ exchange: 'by-header', key: '', arguments: { 'x-match': 'all', kind: 'ours' } }];
    const requests = [{ ...WANTED[0], rabbitmq: { bindings } }];
    await withApp(rabbitmq({ url, exchanges, queueType: 'classic' }), requests, (app) => applyTopology(app));
    await withApp(rabbitmq({ url, exchanges }), requests, async (app) => {
      expect(await migrateQueue(app, { queue: QUEUE })).toMatchObject({ changed: true });
    });
    const isRouted = (kind: string): Promise<boolean> =>
      onChannel(url, async (channel) => {
        let routed = true;
        channel.once('return', () => (routed = false));
        channel.publish('by-header', '', Buffer.from('{}'), { mandatory: true, headers: { kind } });
        // On one channel what is returned comes before the next answer.
        await channel.checkQueue(QUEUE);
        return routed;
      });
    expect([await isRouted('ours'), await isRouted('theirs')]).toEqual([true, false]);
  }, 60_000);

  test('what cannot be migrated is refused by name', async () => {
    const url = await rabbit.freshVhostUrl();
    const of = (queue: string) => migrate(rabbitmq({ url }), { queue });
    await expect(of('other')).rejects.toThrow('No subscription of the application has a queue «other»');
    await expect(of('events.due')).rejects.toThrow('shared by all applications');
    await expect(of(QUEUE)).rejects.toThrow('There is no queue «legacy»: topology apply makes it');
  }, 60_000);
});
