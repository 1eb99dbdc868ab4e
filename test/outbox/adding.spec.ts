import { afterEach, expect, test } from '@jest/globals';
import { Client, Pool } from 'pg';
import { message } from 'nestjs-messaging';
import { NotInTransactionError, sqlTransaction } from 'nestjs-messaging/outbox';
import { z } from 'zod';
import { describePostgres } from '../brokers/postgres.js';
import { waitFor } from '../brokers/wait-for.js';
import { closeApplications, startApplication } from './application.js';

describePostgres('adding to the outbox with pg', (postgres) => {
  const pools: Pool[] = [];
  const clients: Client[] = [];
  afterEach(async () => {
    await closeApplications();
    await Promise.all(clients.splice(0).map((client) => client.end()));
    await Promise.all(pools.splice(0).map((pool) => pool.end()));
  });

  async function start(more: Parameters<typeof startApplication>[1] = {}) {
    const url = await postgres.url();
    const pool = new Pool({ connectionString: url });
    pools.push(pool);
    const application = await startApplication({ url, pollInterval: 20 }, more);
    const transaction = async (work: (client: Client) => Promise<unknown>): Promise<void> => {
      const client = await pool.connect();
      try {
        await client.query('begin');
        await work(client);
        await client.query('commit');
      } catch (error) {
        await client.query('rollback');
        throw error;
      } finally {
        client.release();
      }
    };
    return { ...application, pool, url, transaction };
  }

  test('what is committed is sent, as publish would have sent it', async () => {
    const { outbox, messaging, transaction, pool } = await start({ routes: [] });
    const seen: unknown[] = [];
    await messaging.subscribe(
      { route: 'order.*', name: 'orders' },
      (payload, { id, headers, key, route, time, delivery }) => {
        const { ['messaging-time']: sentAt, ...others } = headers;
        seen.push({
          payload,
          id,
          key,
          route,
          time: typeof time,
          sentAt: typeof sentAt,
          others,
          priority: delivery.message.properties.priority,
        });
      },
    );
    const headers = { text: 'ä', number: 1.5, yes: true, bytes: Buffer.from([0, 255]), nested: { list: [1, null] } };
    const options = { id: 'an-id', key: 'k', headers, correlationId: 'c', priority: 3 };
    await messaging.publisher.publish('order.created', { n: 1 }, options);
    await transaction((client) => outbox.add(client, 'order.created', { n: 1 }, options));
    await waitFor(() => seen.length === 2);
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[1]).toMatchObject({ priority: 3 });
    await waitFor(async () => (await pool.query('select from messaging.outbox')).rowCount === 0);
  });

  test('what is rolled back is not', async () => {
    const { outbox, transaction, pool, received } = await start();
    const failing = transaction(async (client) => {
      await outbox.add(client, 'a', 1);
      throw new Error('thought better of it');
    });
    await expect(failing).rejects.toThrow('thought better');
    await transaction((client) => outbox.add(client, 'b', 2));
    await waitFor(() => received.has('b'));
    expect([...received.keys()]).toEqual(['b']);
    await waitFor(async () => (await pool.query('select from messaging.outbox')).rowCount === 0);
  });

  test('a client outside of a transaction is refused, and nothing stored', async () => {
    const { outbox, pool } = await start();
    const client = await pool.connect();
    for (const tx of [
      pool,
      client,
      sqlTransaction({ query: async (text, values) => (await client.query(text, [...values])).rows }),
    ])
      await expect(outbox.add(tx as never, 'a', 1)).rejects.toThrow(NotInTransactionError);
    await client.query('begin');
    await client.query('commit');
    await expect(outbox.add(client, 'a', 1)).rejects.toMatchObject({ code: 'NOT_IN_TRANSACTION' });
    client.release();
    expect((await pool.query('select from messaging.outbox')).rowCount).toBe(0);
  });

  test('what is wrong with a message is told before the transaction has seen it', async () => {
    const { outbox, transaction, received } = await start();
    const Order = message('order.created', z.object({ n: z.number() }));
    await transaction(async (client) => {
      const wrong: [unknown, unknown, unknown][] = [
        ['', {}, {}],
        ['a b', {}, {}],
        [Order, { n: 'one' }, {}],
        ['a', NaN, {}],
        ['a', {}, { key: 'a\0b' }],
        ['a', {}, { id: '' }],
        ['a', {}, { retryQueuePriority: 1 }],
        ['a', {}, { headers: { 'messaging-x': 1 } }],
        ['a', {}, { delay: -1 }],
        ['a', Buffer.alloc(2 ** 26 + 1), {}],
      ];
      for (const [route, body, options] of wrong)
        await expect(outbox.add(client, route as string, body, options as object)).rejects.toMatchObject({
          code: expect.any(String),
          retryable: false,
        });
      for (const tx of [undefined, null, 1, 'tx', {}, [], () => undefined])
        await expect(outbox.add(tx as never, 'a', 1)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
      await outbox.add(client, Order, { n: 1 }, { headers: { evil: `'); drop schema messaging cascade; --\0` } });
    });
    await waitFor(() => received.has('order.created'));
  });

  test('a delayed message waits for its time; one too late is parked', async () => {
    const { outbox, transaction, pool, received } = await start();
    await transaction(async (client) => {
      await outbox.add(client, 'later', 1, { delay: 3_600_000 });
      await outbox.add(client, 'late', 2, { ttl: 1 });
      await client.query('select pg_sleep(0.01)');
      await outbox.add(client, 'now', 3);
    });
    await waitFor(() => received.has('now'));
    await waitFor(async () => (await pool.query('select from messaging.outbox')).rowCount === 1);
    expect((await pool.query('select route from messaging.outbox')).rows).toEqual([{ route: 'later' }]);
    await pool.query(`update messaging.outbox set due = now()`);
    await waitFor(() => received.has('later'));
    expect(received.has('late')).toBe(false);
    expect(await outbox.parked()).toMatchObject([{ route: 'late', error: expect.stringContaining('MESSAGE_EXPIRED') }]);
  });

  test('what nobody awaits is in the transaction that it was given, or refused', async () => {
    const { outbox, pool, url } = await start({
      publishMiddleware: [
        async (request, next) => {
          await new Promise(setImmediate);
          return next(request);
        },
      ],
    });
    const client = new Client({ connectionString: url });
    await client.connect();
    clients.push(client);
    const plain = sqlTransaction({ query: async (text, values) => (await client.query(text, [...values])).rows });
    for (const tx of [client, plain])
      for (const end of ['rollback', 'rollback; begin']) {
        await client.query('begin');
        const adding = outbox.add(tx as never, 'a', 1).catch((error: unknown) => error);
        await client.query(end);
        // Where another transaction has begun the server may be the one that refuses.
        expect(await adding).toBeInstanceOf(end === 'rollback' ? NotInTransactionError : Error);
        await client.query('commit');
      }
    expect((await pool.query('select from messaging.outbox')).rowCount).toBe(0);
    await client.query('begin');
    await outbox.add(client, 'a', 1);
    await outbox.add(plain, 'a', 2);
    expect((await client.query('select from messaging.outbox')).rowCount).toBe(2);
    await client.query('rollback');
  });

  test('publish middleware sees it, and changes it', async () => {
    const { outbox, transaction, received } = await start({
      publishMiddleware: [(request, next) => next({ ...request, body: { wrapped: request.body } })],
    });
    await transaction((client) => outbox.add(client, 'a', 1));
    await waitFor(() => received.has('a'));
    expect(received.get('a')).toEqual([{ wrapped: 1 }]);
  });
});
