import { inspect } from 'node:util';
import { afterEach, expect, test } from '@jest/globals';
import { Pool } from 'pg';
import { memory, MemoryBroker, message, type MessagingModuleOptions, TopologyMismatchError } from 'nestjs-messaging';
import { type OutboxOptions, outboxSchema } from 'nestjs-messaging/outbox';
import { outboxStatements } from '../../lib/outbox/outbox-statements.js';
import { describePostgresNode } from '../brokers/postgres.js';
import type { PostgresServer } from '../brokers/postgres/server.js';
import { Proxy } from '../brokers/proxy.js';
import { waitFor } from '../brokers/wait-for.js';
import { CapturedLog } from '../e2e/support/application.js';
import { closeApplications, type OutboxApplication, startApplication } from './application.js';

interface Numbered {
  readonly key: string;
  readonly n: number;
}

const Numbers = message<Numbered>('number');

describePostgresNode('the relay', (postgres) => {
  let shared: Promise<PostgresServer> | undefined;
  const pools: Pool[] = [];
  afterEach(async () => {
    await closeApplications();
    await Promise.all(pools.splice(0).map((pool) => pool.end()));
  });

  const newPool = (url: string): Pool => {
    const pool = new Pool({ connectionString: url, max: 4 });
    pool.on('error', () => undefined);
    pools.push(pool);
    return pool;
  };

  /** Applications on one broker and one database, and what the handlers of all of them were given, in order. */
  async function start(
    count: number,
    options: OutboxOptions = {},
    server?: PostgresServer,
    more: MessagingModuleOptions = {},
    pooler?: number,
  ) {
    const url = await (server ?? (await (shared ??= postgres.start()))).createDatabase();
    const address = new URL(url);
    if (pooler !== undefined) address.port = String(pooler);
    const broker = new MemoryBroker();
    const handled: Numbered[] = [];
    const apps: OutboxApplication[] = [];
    for (let at = 0; at < count; at++)
      apps.push(
        await startApplication(
          { url: address.href, pollInterval: 20, ...options },
          {
            transport: memory({ broker }),
            routes: [],
            reconnect: { initial: 20, max: 100 },
            confirmTimeout: 500,
            ...more,
          },
        ),
      );
    await apps[0].messaging.subscribe(
      { ...Numbers, prefetch: 100 },
      (payload) => void handled.push(payload as Numbered),
    );
    const pool = newPool(url);
    const add = async (numbers: readonly Numbered[], commit = true): Promise<() => Promise<void>> => {
      const client = await pool.connect();
      await client.query('begin');
      for (const one of numbers) await apps[0].outbox.add(client, Numbers, one, { key: one.key });
      const end = async (): Promise<void> => {
        await client.query('commit');
        client.release();
      };
      if (commit) await end();
      return end;
    };
    const left = async (): Promise<number> => Number((await pool.query('select count(*) from messaging.outbox')).rows[0].count); // prettier-ignore
    return { apps, broker, handled, pool, url, add, left };
  }

  const ofKeys = (count: number, keys: number): Numbered[] =>
    Array.from({ length: count }, (_, n) => ({ key: `k${n % keys}`, n }));

  const orderOf = (handled: readonly Numbered[], key: string): number[] =>
    handled.filter((one) => one.key === key).map(({ n }) => n);

  /** Leaves out what was sent again. */
  const firsts = (numbers: readonly number[]): number[] => [...new Set(numbers)];

  function expectOrder(handled: readonly Numbered[], sent: readonly Numbered[]): void {
    for (const key of new Set(sent.map((one) => one.key)))
      expect(firsts(orderOf(handled, key))).toEqual(orderOf(sent, key));
  }

  test('several relays send each message once, and those of a key in order', async () => {
    const { apps, add, handled, left } = await start(3, { batchSize: 10, concurrency: 2 });
    const sent = ofKeys(400, 7);
    for (let at = 0; at < sent.length; at += 20) await add(sent.slice(at, at + 20));
    for (const { outbox } of apps) outbox.wake();
    await waitFor(() => handled.length === sent.length);
    expect(new Set(handled.map(({ n }) => n)).size).toBe(sent.length);
    expectOrder(handled, sent);
    await waitFor(async () => (await left()) === 0);
  });

  test('PgBouncer is in between, in transaction mode, and its connections are ended: each message arrives, in order', async () => {
    const server = await (shared ??= postgres.start());
    const pooler = await server.startPooler();
    try {
      const { pool, add, handled, left } = await start(
        2,
        { batchSize: 10, concurrency: 2 },
        undefined,
        {},
        pooler.port,
      );
      const end = `select pg_terminate_backend(pid) from pg_stat_activity where application_name like '% outbox' and datname = current_database()`;
      let ended = 0;
      const sent = ofKeys(200, 7);
      for (let at = 0; at < sent.length; at += 20) {
        await add(sent.slice(at, at + 20));
        ended += (await pool.query(end)).rowCount!;
      }
      expect(ended).toBeGreaterThan(0);
      await waitFor(() => new Set(handled.map(({ n }) => n)).size === sent.length);
      await waitFor(async () => (await left()) === 0);
      expectOrder(handled, sent);
    } finally {
      await closeApplications();
      await pooler.stop();
    }
  });

  test('a transaction that commits late is not passed over, and holds up nobody', async () => {
    const { add, handled, left } = await start(2);
    const commit = await add([{ key: 'late', n: 1 }], false);
    await add([{ key: 'early', n: 2 }]);
    await waitFor(() => handled.length === 1);
    expect(handled[0].n).toBe(2);
    await commit();
    await waitFor(() => handled.length === 2);
    await waitFor(async () => (await left()) === 0);
  });

  test('a batch holds only what it sends, however long the line of a key behind it', async () => {
    const { apps, broker, add, handled, pool, left } = await start(1, { batchSize: 10 });
    broker.faults.refuse();
    broker.faults.disconnect();
    // One is among the first of those that have to wait, and one behind all of them.
    const hot = Array.from({ length: 100 }, (_, n) => ({ key: 'hot', n }));
    await add([...hot.slice(0, 5), { key: 'near', n: 100 }, ...hot.slice(5), { key: 'far', n: 101 }]);
    const other = await pool.connect();
    await other.query('begin');
    await other.query('select from messaging.outbox order by seq limit 1 for update');
    broker.faults.dropConfirms(true);
    broker.faults.accept();
    apps[0].outbox.wake();
    const free = async () => (await pool.query('select from messaging.outbox for update skip locked')).rowCount;
    await waitFor(async () => (await free()) === 99, 'all but the three that are held');
    broker.faults.dropConfirms(false);
    await other.query('rollback');
    other.release();
    await waitFor(async () => (await left()) === 0, 'an empty outbox', 30_000);
    expectOrder(handled, hot);
  });

  test('a batch is bounded in bytes, and holds no more than that', async () => {
    const { apps, broker, add, handled, pool, left } = await start(1, { concurrency: 1 });
    broker.faults.refuse();
    broker.faults.disconnect();
    const wide = 'x'.repeat(6 * 2 ** 20);
    const sent = [0, 1, 2, 3, 4].map((n) => ({ key: `k${n}`, n, wide }));
    await add(sent);
    const taken: number[] = [];
    const relay = apps[0].messaging.publisher.relay.bind(apps[0].messaging.publisher);
    apps[0].messaging.publisher.relay = (publications) => {
      taken.push(publications.length);
      return relay(publications);
    };
    broker.faults.dropConfirms(true);
    broker.faults.accept();
    apps[0].outbox.wake();
    const held = async () => 5 - Number((await pool.query('select from messaging.outbox for update skip locked')).rowCount); // prettier-ignore
    await waitFor(async () => (await held()) === 3, 'three of 6 MiB under way');
    broker.faults.dropConfirms(false);
    await waitFor(async () => (await left()) === 0, 'an empty outbox', 30_000);
    expect(new Set(handled.map(({ n }) => n)).size).toBe(5);
    expect(Math.max(...taken)).toBe(3);
  });

  test("order: 'transaction' is bounded in bytes, too, and loses nothing behind that", async () => {
    const { apps, broker, add, handled, pool, left } = await start(1, { order: 'transaction' });
    broker.faults.refuse();
    broker.faults.disconnect();
    const wide = 'x'.repeat(6 * 2 ** 20);
    await add([0, 1, 2, 3, 4].map((n) => ({ key: 'k', n, wide })));
    const { takeInOrder } = outboxStatements({ schema: 'messaging', table: 'outbox' });
    const answered = async (bytes: number): Promise<number> =>
      (await pool.query(takeInOrder, [100, bytes])).rows.filter(({ payload }) => payload !== null).length;
    expect([await answered(16 * 2 ** 20), await answered(1)]).toEqual([3, 1]);
    broker.faults.accept();
    apps[0].outbox.wake();
    await waitFor(async () => (await left()) === 0, 'an empty outbox', 30_000);
    expect(firsts(orderOf(handled, 'k'))).toEqual([0, 1, 2, 3, 4]);
  });

  test('while the broker is away messages stay, and are then sent in order', async () => {
    const { apps, broker, add, handled, left } = await start(2, { batchSize: 5 });
    broker.faults.refuse();
    broker.faults.disconnect();
    const sent = ofKeys(60, 3);
    await add(sent);
    await waitFor(() => apps.some(({ outbox }) => outbox.health().relay === 'waiting'));
    expect(await left()).toBe(60);
    const waiting = apps.find(({ outbox }) => outbox.health().relay === 'waiting')!;
    expect(waiting.outbox.health()).toMatchObject({ status: 'degraded', reason: expect.stringContaining('broker') });
    broker.faults.accept();
    await waitFor(() => handled.length >= 60);
    expectOrder(handled, sent);
    await waitFor(async () => (await left()) === 0);
    await waitFor(() => waiting.outbox.health().relay === 'running');
  });

  test('nothing of a key overtakes what failed for a passing reason, also where confirms are lost', async () => {
    const { broker, add, handled, left } = await start(2, { batchSize: 20 });
    const sent = ofKeys(80, 4);
    broker.faults.nackNext(3);
    await add(sent.slice(0, 40));
    await waitFor(() => handled.length >= 20);
    broker.faults.dropConfirms(true);
    await add(sent.slice(40));
    await waitFor(() => handled.length >= 30);
    broker.faults.dropConfirms(false);
    await waitFor(async () => (await left()) === 0, 'an empty outbox', 30_000);
    expectOrder(handled, sent);
  });

  test('what no queue takes is parked after some time, holds up nobody, and can be sent later', async () => {
    const { apps, add, handled, left, pool } = await start(1);
    const [{ outbox, messaging }] = apps;
    const failed: string[] = [];
    messaging.events.on('publish-failed', ({ id }) => failed.push(id));
    const client = await pool.connect();
    await client.query('begin');
    await outbox.add(client, 'nobody', 1, { id: 'lost', key: 'k0' });
    await outbox.add(client, 'nobody.yet', 2, { id: 'patient', unroutable: 'queue' });
    await outbox.add(client, 'nobody', 3, { id: 'ignored', unroutable: 'ignore' });
    await client.query('commit');
    client.release();
    await waitFor(async () => (await left()) === 2);
    await add([{ key: 'other', n: 1 }]);
    await waitFor(() => handled.length === 1);
    // The pauses between the tries take half a minute.
    for (let tries = 0; tries < 6; tries++)
      await waitFor(async () => {
        await pool.query('update messaging.outbox set due = now() where attempts > 0');
        outbox.wake();
        return (
          (await pool.query(`select from messaging.outbox where id = 'lost' and attempts <= ${tries}`)).rowCount === 0
        );
      });
    await waitFor(() => failed.length === 1);
    expect(failed).toEqual(['lost']);
    expect(await outbox.parked()).toMatchObject([{ id: 'lost', route: 'nobody', key: 'k0', error: expect.stringMatching(/^UNROUTABLE /) }]); // prettier-ignore
    await waitFor(() => outbox.health().parked === 1);
    expect(outbox.health().status).toBe('degraded');
    expect(await left()).toBe(1);
    await add([{ key: 'k0', n: 5 }]);
    await waitFor(() => handled.length === 2);

    const found: unknown[] = [];
    await messaging.subscribe({ route: 'nobody.#', name: 'found' }, (payload) => void found.push(payload));
    expect(await outbox.retryParked(['lost'])).toBe(1);
    await waitFor(() => found.includes(1));
    await pool.query('update messaging.outbox set due = now()');
    await waitFor(() => found.includes(2));
    expect(outbox.health()).toMatchObject({ status: 'up', parked: 0 });
  });

  test('nothing is lost where its connections are ended, again and again', async () => {
    const { apps, add, handled, left, pool } = await start(2, { batchSize: 7 });
    const sent = ofKeys(300, 5);
    const adding = (async () => {
      for (let at = 0; at < sent.length; at += 10) await add(sent.slice(at, at + 10));
    })();
    for (let times = 0; times < 12; times++) {
      await pool.query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name like '% outbox' and datname = current_database()`); // prettier-ignore
      await waitFor(() => handled.length >= Math.min(times * 10, 100));
    }
    await adding;
    for (const { outbox } of apps) outbox.wake();
    await waitFor(async () => (await left()) === 0, 'an empty outbox', 30_000);
    expectOrder(handled, sent);
  });

  test('nothing is lost where the server is killed and started again', async () => {
    if (!postgres.newest) return;
    const server = await postgres.start();
    const { apps, add, handled, left } = await start(2, { batchSize: 7 }, server);
    const sent = ofKeys(200, 5);
    await add(sent);
    await waitFor(() => handled.length > 20);
    await server.kill();
    await waitFor(() => apps.every(({ outbox }) => outbox.health().relay === 'waiting'));
    expect(apps[0].outbox.health().reason).toContain('The database at 127.0.0.1');
    await server.restart();
    for (const { outbox } of apps) outbox.wake();
    await waitFor(async () => (await left()) === 0, 'an empty outbox', 30_000);
    expectOrder(handled, sent);
  });

  test("order: 'transaction' keeps all in order, behind transactions that still run", async () => {
    const { apps, add, handled, left, pool } = await start(2, { order: 'transaction', batchSize: 5 });
    const commit = await add([{ key: 'a', n: 1 }], false);
    await add([
      { key: 'b', n: 2 },
      { key: 'a', n: 3 },
    ]);
    await add([{ key: 'c', n: 4 }]);
    // A look that has seen them, and sent none.
    apps[0].outbox.wake();
    await pool.query('select pg_sleep(0.2)');
    expect(handled).toEqual([]);
    await commit();
    await waitFor(() => handled.length === 4);
    expect(handled.map(({ n }) => n)).toEqual([1, 2, 3, 4]);
    await waitFor(async () => (await left()) === 0);
  });

  test('what cannot be read is parked, sent again behind all others, and nothing shows the credentials', async () => {
    const { apps, add, handled, pool, url } = await start(1, { order: 'transaction' });
    await pool.query(`insert into messaging.outbox (id, route, payload, headers, properties, dedupe_id, unroutable)
      values ('x', 'number', '{}', 'null', 'null', 'x', 'warn')`);
    await add([{ key: 'k', n: 1 }]);
    await waitFor(() => handled.length === 1);
    await waitFor(() => apps[0].outbox.health().parked === 1);
    const [{ xact }] = (await pool.query('select xact::text from messaging.outbox_parked')).rows;
    const other = await startApplication({ url, table: 'outbox_away', relay: false });
    await pool.query(`insert into messaging.outbox_away_parked select * from messaging.outbox_parked`);
    expect(await other.outbox.retryParked()).toBe(1);
    expect((await pool.query('select xact::text from messaging.outbox_away')).rows[0].xact).not.toBe(xact);
    expect(inspect(apps[0].outbox, { depth: 9 })).not.toContain(new URL(url).password);
  });

  test("order: 'transaction' says who holds it up", async () => {
    const { apps, pool } = await start(1, { order: 'transaction' });
    const client = await pool.connect();
    await client.query(`set application_name = 'a long report'`);
    await client.query('begin');
    await client.query('select pg_current_xact_id()');
    await client.query('select pg_sleep(1.1)');
    await apps[0].outbox.retryParked([]);
    expect(apps[0].outbox.health().heldBy).toMatchObject({ owner: expect.stringContaining('a long report') });
    await client.query('rollback');
    client.release();
  });

  test('sent messages are kept for as long as is asked for', async () => {
    const { apps, add, handled, pool } = await start(1, { retention: 3_600_000 });
    await add(ofKeys(3, 1));
    await waitFor(() => handled.length === 3);
    await waitFor(async () => (await pool.query('select from messaging.outbox_sent')).rowCount === 3);
    await pool.query(`update messaging.outbox_sent set sent_at = now() - interval '2 hours' where seq = 1`);
    await apps[0].outbox.discardParked([]);
    expect((await pool.query('select from messaging.outbox_sent')).rowCount).toBe(2);
  });

  test('what was taken is sent before the application ends, and the rest stays', async () => {
    const { apps, broker, add, handled, left } = await start(1, { batchSize: 5 });
    await add(ofKeys(100, 100));
    await waitFor(() => handled.length > 0);
    await apps[0].app.close();
    // The application handles nothing new while its relay sends the rest of what was taken.
    const waiting = broker.queues().reduce((sum, { ready }) => sum + ready, 0);
    expect((await left()) + waiting + new Set(handled.map(({ n }) => n)).size).toBe(100);
  });

  test('what is not confirmed in time for the end is given back, and the end is not held up', async () => {
    const { apps, broker, add, handled, pool } = await start(1, {}, undefined, { confirmTimeout: 600_000, shutdownTimeout: 200 }); // prettier-ignore
    const log = new CapturedLog();
    apps[0].app.useLogger(log);
    broker.faults.dropConfirms(true);
    await add([{ key: 'k', n: 1 }, { key: 'k', n: 2 }]); // prettier-ignore
    await waitFor(() => handled.length === 1);
    await apps[0].app.close();
    expect(log.lines.filter((line) => JSON.stringify(line).includes('lost with this process'))).toEqual([]);
    await waitFor(async () => (await pool.query('select from messaging.outbox for update skip locked')).rowCount === 2);
    expect(handled).toHaveLength(1);
  });

  test('a database that says nothing does not hold up the end', async () => {
    for (const relay of [false, true]) {
      const url = await (await (shared ??= postgres.start())).createDatabase();
      const proxy = await Proxy.start(url);
      const { app, outbox } = await startApplication(
        // No answer is waited for in vain: it is the end that does not wait.
        { url: proxy.url(url), relay, options: { query_timeout: 3_600_000 } },
        { shutdownTimeout: 200 },
      );
      await waitFor(() => outbox.health().countedAt !== undefined);
      proxy.stall();
      outbox.parked().catch(() => undefined);
      // Else the pool ends before it has sent anything.
      await new Promise(setImmediate);
      await app.close();
      await proxy.close();
    }
  });

  test('what a lost host has taken is sent by others, and what is silent is told and connected again', async () => {
    if (!postgres.newest) return;
    const server = await (shared ??= postgres.start());
    const url = await server.createDatabase();
    const proxy = await Proxy.start(url);
    const broker = new MemoryBroker();
    const messaging = { transport: memory({ broker }), routes: [], confirmTimeout: 60_000 };
    const lost = await startApplication({ url: proxy.url(url), pollInterval: 20 }, messaging);
    const handled: unknown[] = [];
    await lost.messaging.subscribe(Numbers, (payload) => void handled.push(payload));
    broker.faults.dropConfirms(true);
    const pool = newPool(url);
    const client = await pool.connect();
    await client.query('begin');
    await lost.outbox.add(client, Numbers, { key: 'k', n: 1 }, { key: 'k' });
    await client.query('commit');
    client.release();
    await waitFor(() => handled.length === 1);
    proxy.stall();
    broker.faults.dropConfirms(false);
    await startApplication({ url, pollInterval: 20 }, messaging);
    await waitFor(() => handled.length === 2, 'a second sending', 40_000);
    await waitFor(() => lost.outbox.health().relay === 'waiting', 'a relay that waits', 40_000);
    expect(lost.outbox.health().status).not.toBe('up');
    proxy.resume();
    await waitFor(() => lost.outbox.health().relay === 'running', 'a relay that runs', 40_000);
    await proxy.close();
  }, 120_000);

  test('an outbox of another version, of another service, or none is refused with what to do', async () => {
    const url = await (await (shared ??= postgres.start())).createDatabase();
    const pool = newPool(url);
    const boot = (options: OutboxOptions = {}, service = 'shop'): Promise<unknown> =>
      startApplication({ url, ...options }, { service });
    await expect(boot({ provision: false })).rejects.toThrow(/no outbox «messaging.outbox».*outboxSchema\(/);
    await pool.query(outboxSchema());
    await boot({ provision: false });
    await expect(boot({}, 'other')).rejects.toThrow(/of the service «shop».*Choose another «table»/);
    await boot({ table: 'outbox_other' }, 'other');
    await pool.query(`update messaging.outbox_version set connection = 'eu-1'`);
    await expect(boot()).rejects.toThrow(/of the connection «eu-1».*Choose another «table»/);
    await pool.query(`update messaging.outbox_version set connection = 'default'`);
    const firsts = ['one', 'two', 'three', 'four'].map((service) => boot({ table: 'outbox_race' }, service));
    const started = (await Promise.allSettled(firsts)).filter(({ status }) => status === 'fulfilled');
    expect(started).toHaveLength(1);
    await pool.query('update messaging.outbox_version set version = 2');
    const wrong = boot();
    await expect(wrong).rejects.toThrow(TopologyMismatchError);
    await expect(wrong).rejects.toThrow(/version 2, this package needs 1.*docs\/outbox.md/);
    await expect(boot({ url: url.replace(/\/[^/]*$/, '/nowhere') })).rejects.toMatchObject({
      code: 'BROKER_CONFIGURATION',
    });
    for (const table of ['', 'A', 'a-b', '1a', 'a"; drop table x', 'a'.repeat(41)])
      await expect(boot({ table })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    const together = await Promise.all(Array.from({ length: 5 }, () => startApplication({ url, schema: 'together' })));
    expect(together).toHaveLength(5);
  });

  test('a role that owns the schema and may make none makes the tables', async () => {
    const server = await (shared ??= postgres.start());
    const url = new URL(await server.createDatabase());
    const pool = newPool(url.href);
    await pool.query(`create role owner_${url.pathname.slice(1)} login password 'own'`);
    await pool.query(`create schema messaging authorization owner_${url.pathname.slice(1)}`);
    url.username = `owner_${url.pathname.slice(1)}`;
    url.password = 'own';
    const { outbox } = await startApplication({ url: url.href });
    await waitFor(() => outbox.health().status === 'up' && outbox.health().countedAt !== undefined);
  });

  test('a process that only adds makes the tables, too, when a database that was away comes', async () => {
    if (!postgres.newest) return;
    const server = await postgres.start();
    const url = await server.createDatabase();
    await server.kill();
    const { outbox } = await startApplication({ url, relay: false });
    await waitFor(() => outbox.health().status === 'down');
    await server.restart();
    await waitFor(() => outbox.health().status === 'up');
    expect((await newPool(url).query('select from messaging.outbox')).rowCount).toBe(0);
  });

  test('it starts while the database is away, and sends when that comes', async () => {
    if (!postgres.newest) return;
    const server = await postgres.start();
    const url = await server.createDatabase();
    await server.kill();
    const { outbox, received } = await startApplication({ url, pollInterval: 20 });
    expect(outbox.health().relay).not.toBe('off');
    await waitFor(() => outbox.health().status === 'down');
    await server.restart();
    outbox.wake();
    const pool = newPool(url);
    await waitFor(
      async () => (await pool.query(`select to_regclass('messaging.outbox') is not null as there`)).rows[0].there,
    );
    const client = await pool.connect();
    await client.query('begin');
    await outbox.add(client, 'a', 1);
    await client.query('commit');
    client.release();
    await waitFor(() => received.has('a'));
  });
});
