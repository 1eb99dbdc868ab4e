import { afterEach, expect, test } from '@jest/globals';
import { Pool, type PoolClient } from 'pg';
import { fixed, memory, type Messaging, MessagingModule } from 'nestjs-messaging';
import { postgresCommitStatus, postgresTransaction } from 'nestjs-messaging/outbox';
import { postgresTransactionRecords } from 'nestjs-messaging/stores';
import {
  CheckTransaction,
  memoryTransactionRecords,
  type TransactionsOptions,
  type TransactionOutcome,
} from 'nestjs-messaging/transaction';
import { describePostgresNode } from '../brokers/postgres.js';
import { waitFor } from '../brokers/wait-for.js';
import { boot, closeApplications } from '../e2e/support/application.js';

const ROUTE = 'order.created';

class Orders {
  @CheckTransaction(ROUTE)
  wasCreated(): TransactionOutcome {
    return 'unknown';
  }
}

describePostgresNode('transactional sends whose database says what became of them', (postgres) => {
  const pools: Pool[] = [];
  afterEach(async () => {
    await closeApplications();
    await Promise.all(pools.splice(0).map((pool) => pool.end()));
  });

  function poolOf(url: string): Pool {
    const pool = new Pool({ connectionString: url });
    pool.on('error', () => undefined);
    pools.push(pool);
    return pool;
  }

  /** A shop that listens to its own orders; `options.commitStatus` may ask another server. */
  async function start(url: string, options: Partial<TransactionsOptions> = {}) {
    const transactions = {
      ...{ store: postgresTransactionRecords({ url }), commitStatus: postgresCommitStatus({ url, routes: [ROUTE] }) },
      ...{ timeout: 5_000, grace: 100, checks: 1_000, backoff: fixed(20), ...options },
    };
    const app = await boot({
      imports: [MessagingModule.forRoot({ service: 'shop', transport: memory(), transactions })],
    });
    const { messaging } = app;
    const sent: unknown[] = [];
    await messaging.subscribe({ route: '#' }, (body) => void sent.push(body));
    const pool = poolOf(url);
    await pool.query('create table if not exists orders (n int)');
    const orders = async (): Promise<number[]> => (await pool.query<{ n: number }>('select n from orders order by n')).rows.map(({ n }) => n); // prettier-ignore
    return { messaging, sent, pool, orders, begin: beginOf(pool) };
  }

  /** As applications have one: it says nothing where the transaction was rolled back. */
  function beginOf(pool: Pool) {
    return async (work: (tx: PoolClient) => Promise<void>): Promise<void> => {
      const client = await pool.connect();
      client.on('error', () => undefined);
      let failed = true;
      try {
        await client.query('begin');
        await work(client);
        await client.query('commit');
        failed = false;
      } finally {
        client.release(failed);
      }
    };
  }

  type Work = Parameters<typeof postgresTransaction<PoolClient>>[1];
  const publish = (messaging: Messaging, body: unknown, begin: Parameters<typeof postgresTransaction<PoolClient>>[0], work: Work) => messaging.publisher.publishInTransaction(ROUTE, body, postgresTransaction(begin, work)); // prettier-ignore
  const insert =
    (n: number): Work =>
    (tx) =>
      tx.query('insert into orders values ($1)', [n]);
  const pending = async (messaging: Messaging): Promise<string[]> => (await messaging.transactions.list()).map(({ state }) => state); // prettier-ignore
  const settled = (messaging: Messaging): Promise<void> => waitFor(async () => (await pending(messaging)).length === 0);

  test('committed is sent, also where its answer was lost; rolled back is not, also where its library says nothing', async () => {
    const { messaging, sent, begin, orders } = await start(await postgres.url());
    expect(await publish(messaging, 1, begin, insert(1))).toMatchObject({ outcome: 'confirmed' });
    const lost: typeof begin = async (work) => {
      await begin(work);
      throw new Error('connection reset');
    };
    expect(await publish(messaging, 2, lost, insert(2))).toMatchObject({ outcome: 'confirmed' });
    await expect(
      publish(messaging, 3, begin, async (tx, transaction) => {
        await insert(3)(tx, transaction);
        throw new Error('out of stock');
      }),
    ).rejects.toThrow('out of stock');
    const swallowed = publish(messaging, 4, begin, async (tx, transaction) => {
      await insert(4)(tx, transaction);
      await tx.query('select 1 / 0').catch(() => undefined);
    });
    await expect(swallowed).rejects.toMatchObject({ code: 'TRANSACTION_ROLLED_BACK' });
    await settled(messaging);
    await waitFor(() => sent.length >= 2);
    expect(sent.sort()).toEqual([1, 2]);
    expect(await orders()).toEqual([1, 2]);
  });

  test('a transaction that still runs is waited for, however it ends, and nothing is sent before', async () => {
    const { messaging, sent, pool, orders } = await start(await postgres.url());
    const ends: ((statement: string) => Promise<void>)[] = [];
    /** The connection to the pooler is lost, and what it had begun goes on. */
    const left = async (work: (tx: PoolClient) => Promise<void>): Promise<void> => {
      const client = await pool.connect();
      await client.query('begin');
      await work(client);
      ends.push(async (statement) => {
        await client.query(statement);
        client.release();
      });
      throw new Error('connection reset');
    };
    for (const n of [1, 2])
      await expect(publish(messaging, n, left, insert(n))).rejects.toMatchObject({
        code: 'TRANSACTION_UNKNOWN',
        message: expect.stringContaining('it has not ended in its database'),
      });
    await waitFor(async () => (await messaging.transactions.list({ state: 'unknown' })).every(({ checks }) => checks > 3)); // prettier-ignore
    expect(await pending(messaging)).toEqual(['unknown', 'unknown']);
    expect(sent).toEqual([]);
    await ends[0]('rollback');
    await waitFor(async () => (await pending(messaging)).length === 1);
    expect(sent).toEqual([]);
    await ends[1]('commit');
    await settled(messaging);
    await waitFor(() => sent.length === 1);
    expect([sent, await orders()]).toEqual([[2], [2]]);
  });

  test('one that the server has forgotten, and one of another server, are parked, and never taken for either', async () => {
    const url = await postgres.url();
    const other = await postgres.start();
    const { messaging, sent, pool, begin } = await start(url, { checks: 2 });
    const elsewhere = beginOf(poolOf(other.url()));
    const committed = publish(messaging, 1, elsewhere, (tx) => tx.query('create table orders (n int)'));
    await expect(committed).rejects.toMatchObject({
      code: 'TRANSACTION_UNKNOWN',
      message: expect.stringContaining('another database server'),
    });
    /** As one looks that was begun long ago. */
    const old: typeof begin = async (work) => {
      await begin(work);
      await pool.query(`update messaging.transaction_records set owner = 'gone',
        meta = regexp_replace(meta, '("proof":"[^"]*/)[0-9]+"', '\\13"')`); // prettier-ignore
      throw new Error('killed');
    };
    const third = await start(url, { checks: 2, lease: 30 });
    await expect(publish(messaging, 2, old, insert(2))).resolves.toMatchObject({ outcome: 'confirmed' });
    await waitFor(async () => (await messaging.transactions.list({ state: 'parked' })).length >= 1);
    expect([sent, third.sent]).toEqual([[2], []]);
  });

  test('a number that is given again after a crash of the server is not taken for the transaction that had it', async () => {
    const server = await postgres.start({ conf: ['wal_writer_delay=10s', 'autovacuum=off'] });
    // Records in the same server would bring a higher number into a file by themselves.
    const { messaging, sent, pool, begin } = await start(server.url(), { store: memoryTransactionRecords() });
    let crash = async (): Promise<void> => {
      await server.kill();
      await server.restart();
      // Whoever comes next is given the number that was lost.
      for (let n = 0; n < 20; n++) await server.query('insert into orders values (0)');
    };
    await expect(
      publish(messaging, 1, begin, async () => {
        await crash();
        crash = async () => undefined;
      }),
    ).rejects.toThrow();
    await settled(messaging);
    expect(sent).toEqual([]);
    await pool.query('delete from orders');
    expect(await publish(messaging, 2, begin, insert(2))).toMatchObject({ outcome: 'confirmed' });
  });

  test('what cannot prove itself is refused before anything is sent or stored', async () => {
    const url = await postgres.url();
    const { messaging, begin, pool, orders } = await start(url);
    const invalid = { code: 'INVALID_OPTION' };
    const { publisher } = messaging;
    await expect(publisher.publishInTransaction(ROUTE, 1, () => 1)).rejects.toThrow('postgresTransaction(begin, work)');
    await expect(publisher.publishInTransaction('else', 1, postgresTransaction(begin, insert(1)))).rejects.toThrow(
      'one of the «routes» of transactions.commitStatus',
    );
    await expect(publish(messaging, 1, async () => undefined, insert(1))).rejects.toMatchObject(invalid);
    const twice: typeof begin = async (work) => {
      await begin(work).catch(() => undefined);
      await begin(work);
    };
    const failing: Work = (tx) => tx.query('select 1 / 0');
    await expect(publish(messaging, 1, twice, failing)).rejects.toThrow('begins once');
    const nested: typeof begin = (work) =>
      begin(async (tx) => {
        await tx.query('insert into orders values (7)');
        await tx.query('savepoint s');
        await work(tx);
      });
    await expect(publish(messaging, 1, nested, insert(1))).rejects.toThrow('within no other');
    const plain: typeof begin = async (work) => work(pool as never);
    await expect(publish(messaging, 1, plain, insert(1))).rejects.toMatchObject({ code: 'NOT_IN_TRANSACTION' });
    await settled(messaging);
    expect(await orders()).toEqual([]);
    const transactions = { store: postgresTransactionRecords({ url }), commitStatus: postgresCommitStatus({ url, routes: [ROUTE] }) }; // prettier-ignore
    await expect(
      boot({ imports: [MessagingModule.forRoot({ transport: memory(), transactions })], providers: [Orders] }),
    ).rejects.toMatchObject({ code: 'SUBSCRIPTION_CONFLICT' });
    expect(() => postgresCommitStatus({ url, routes: ['a.*'] })).toThrow('a route without wildcards');
    expect(() => postgresCommitStatus({ url, routes: [] })).toThrow('an array of routes');
  });

  test('while the server cannot be asked nothing is begun, and what has begun stays unknown', async () => {
    const url = await postgres.url();
    const away = 'postgres://nobody:secret@127.0.0.1:1/none';
    const { messaging, sent, begin, orders } = await start(url, {
      commitStatus: postgresCommitStatus({ url: away, routes: [ROUTE] }),
    });
    const refused = (await publish(messaging, 1, begin, insert(1)).catch((error: unknown) => error)) as Error;
    expect(refused.message).toContain('ECONNREFUSED');
    expect(refused.message).not.toContain('secret');
    await settled(messaging);
    expect([sent, await orders()]).toEqual([[], []]);
  });
});
