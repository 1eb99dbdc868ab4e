import { afterEach, expect, test } from '@jest/globals';
import { Pool, type PoolClient } from 'pg';
import { fixed, memory, MemoryBroker } from 'nestjs-messaging';
import { describePostgresNode } from '../brokers/postgres.js';
import { waitFor } from '../brokers/wait-for.js';
import { closeApplications, startApplication } from './application.js';

describePostgresNode('the inbox with pg', (postgres) => {
  const pools: Pool[] = [];
  afterEach(async () => {
    await closeApplications();
    await Promise.all(pools.splice(0).map((pool) => pool.end()));
  });

  async function start(count = 1, given?: string) {
    const url = given ?? (await postgres.url());
    const broker = new MemoryBroker();
    const options = { routes: [], transport: memory({ broker }), retry: { attempts: 20, backoff: fixed(5) } };
    const apps = [];
    for (let at = 0; at < count; at++) apps.push(await startApplication({ url, pollInterval: 20 }, options));
    const pool = new Pool({ connectionString: url, max: 8 });
    pool.on('error', () => undefined);
    pools.push(pool);
    await pool.query('create table effects (n int)');
    /** As applications have one: it says nothing where the transaction was rolled back. */
    const begin = async <T>(work: (client: PoolClient) => Promise<T>): Promise<T> => {
      const client = await pool.connect();
      client.on('error', () => undefined);
      let failed = true;
      try {
        await client.query('begin');
        const result = await work(client);
        await client.query('commit');
        failed = false;
        return result;
      } finally {
        client.release(failed);
      }
    };
    const effects = async (): Promise<number[]> => (await pool.query<{ n: number }>('select n from effects order by n')).rows.map(({ n }) => n); // prettier-ignore
    return { apps, pool, begin, effects, url };
  }

  test('what comes several times has one effect and one message, over two processes', async () => {
    const { apps, begin, effects } = await start(2);
    const followed: number[] = [];
    let calls = 0;
    for (const { messaging, outbox } of apps)
      await messaging.subscribe<number>({ route: 'n', prefetch: 10 }, (n, context) => {
        calls++;
        return outbox.inbox.once(context, begin, async (tx: PoolClient) => {
          await tx.query('insert into effects values ($1)', [n]);
          await outbox.add(tx, 'followed', n);
        });
      });
    await apps[0].messaging.subscribe<number>({ route: 'followed' }, (n) => void followed.push(n));
    const { publisher } = apps[0].messaging;
    const ids = Array.from({ length: 50 }, (_, n) => n);
    await Promise.all([...ids, ...ids, ...ids].map((n) => publisher.publish('n', n, { id: `id-${n}` })));
    await waitFor(() => calls === 150 && followed.length >= 50);
    expect(await effects()).toEqual(ids);
    expect(followed.sort((a, b) => a - b)).toEqual(ids);
  });

  test('a transaction that was undone by a swallowed error is no success', async () => {
    const { apps, begin, effects } = await start();
    const [{ messaging, outbox }] = apps;
    const errors: unknown[] = [];
    let calls = 0;
    await messaging.subscribe<number>({ route: 'n' }, async (n, context) => {
      try {
        await outbox.inbox.once(context, begin, async (tx: PoolClient) => {
          await tx.query('insert into effects values ($1)', [n]);
          if (++calls === 1) await tx.query('select 1 / 0').catch(() => undefined);
        });
      } catch (error) {
        errors.push(error);
        throw error;
      }
    });
    await messaging.publisher.publish('n', 1);
    await waitFor(() => calls === 2);
    await waitFor(async () => (await effects()).length === 1);
    expect(errors).toMatchObject([{ code: 'TRANSACTION_ROLLED_BACK' }]);
  });

  test('a number that is given again after a crash of the server proves nothing', async () => {
    // Nothing is in a file that no commit waits for.
    const server = await postgres.start({
      conf: ['wal_writer_delay=10s', 'autovacuum=off', 'bgwriter_lru_maxpages=0'],
    });
    const { apps, begin, effects } = await start(1, server.url());
    const [{ messaging, outbox }] = apps;
    let calls = 0;
    await messaging.subscribe<number>({ route: 'n' }, (n, context) =>
      outbox.inbox.once(context, begin, async (tx: PoolClient) => {
        await tx.query('insert into effects values ($1)', [n]);
        if (++calls > 1) return;
        await server.kill();
        await server.restart();
        // Whoever comes next is given the number that was lost.
        for (let other = 0; other < 10; other++) await server.query('create table if not exists others as select 1');
        for (let other = 0; other < 10; other++) await server.query('insert into others values (1)');
      }),
    );
    await messaging.publisher.publish('n', 1);
    await waitFor(async () => (await effects().catch(() => [])).length === 1, 'the effect', 30_000);
    expect([calls, await effects()]).toEqual([2, [1]]);
  }, 60_000);

  test('a commit whose answer was lost is a success; a connection lost before it is not', async () => {
    const { apps, begin, effects, pool } = await start();
    const [{ messaging, outbox }] = apps;
    const results: unknown[] = [];
    const lost = async <T>(work: (client: PoolClient) => Promise<T>): Promise<T> => {
      await begin(work);
      throw new Error('connection lost');
    };
    const killed = async <T>(work: (client: PoolClient) => Promise<T>): Promise<T> =>
      begin(async (client) => {
        const result = await work(client);
        const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
        await pool.query('select pg_terminate_backend($1)', [rows[0].pid]);
        return result;
      });
    let calls = 0;
    await messaging.subscribe<number>({ route: 'n' }, async (n, context) => {
      const way = n === 1 ? lost : ++calls < 3 ? killed : begin;
      results.push(
        await outbox.inbox.once(context, way, async (tx: PoolClient) => {
          await tx.query('insert into effects values ($1)', [n]);
          return n;
        }),
      );
    });
    await messaging.publisher.publish('n', 1);
    await messaging.publisher.publish('n', 2);
    await waitFor(() => results.length === 2);
    expect(results).toEqual([1, 2]);
    expect(calls).toBe(3);
    expect(await effects()).toEqual([1, 2]);
  });

  test('a message without an id, and a function that begins nothing, are refused', async () => {
    const { apps, begin } = await start();
    const { inbox } = apps[0].outbox;
    const { signal } = new AbortController();
    const work = async (): Promise<number> => 1;
    await expect(inbox.once({ id: '', queue: 'q', signal }, begin, work)).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    });
    const context = { id: 'a', queue: 'q', signal };
    await expect(inbox.once(context, async () => undefined, work)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    const plain = (run: (tx: Pool) => Promise<number>): Promise<number> => run(pools[0]);
    await expect(inbox.once(context, plain as never, work)).rejects.toMatchObject({ code: 'NOT_IN_TRANSACTION' });
    expect(await inbox.once(context, begin, work)).toBe(1);
    expect(await inbox.once(context, begin, work)).toBeUndefined();
    expect(await inbox.once(context, begin, work, { scope: 'another' })).toBe(1);
  });
});
