import { afterEach, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { postgres as transport, type PostgresOptions } from 'nestjs-messaging/postgres';
import { describePostgresNode } from '../brokers/postgres.js';
import type { PostgresServer } from '../brokers/postgres/server.js';
import { Proxy } from '../brokers/proxy.js';
import { closeApplications, event } from '../e2e/support/application.js';
import { Load } from '../fault/load.js';
import { loseAnswers, survived } from '../fault/under-load.js';

/** Each fault in the middle of publishing and handling: nothing is lost, and what comes twice was under way. */
describePostgresNode('under load, nothing is lost when', (postgres) => {
  const proxies: Proxy[] = [];
  const clients: Client[] = [];

  afterEach(async () => {
    await closeApplications();
    await Promise.all(clients.splice(0).map((client) => client.end().catch(() => undefined)));
    await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
  });

  const start = (url: string, options: PostgresOptions = {}): Promise<Load> =>
    Load.start(transport({ url, lease: 2_000, pollInterval: 200, ...options }), 2_000);

  /** A client of somebody else. */
  async function plain(url: string): Promise<Client> {
    const client = new Client({ connectionString: url });
    client.on('error', () => undefined);
    clients.push(client);
    await client.connect();
    return client;
  }

  async function proxied(server: PostgresServer, url: string): Promise<{ proxy: Proxy; url: string }> {
    const proxy = await Proxy.start(server.url());
    proxies.push(proxy);
    return { proxy, url: proxy.url(url) };
  }

  async function check(load: Load, fault: () => Promise<void>, times = 1): Promise<void> {
    await survived(load, fault, { times, each: 300 });
  }

  test('the server is killed and started again', async () => {
    const server = await postgres.start();
    const load = await start(await server.createDatabase());
    const lost = event(load.messaging, 'disconnected');
    await check(load, () => server.restart(), 3);
    await lost;
  });

  test('each backend is killed, again and again: no error of a client ends the process', async () => {
    const server = await postgres.start();
    const url = await server.createDatabase();
    const load = await start(url);
    const database = new URL(url).pathname.slice(1);
    const kill = 'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1';
    await check(load, async () => void (await server.query(kill, [database])), 5);
  });

  test('one backend at a time is killed', async () => {
    const server = await postgres.start();
    const url = await server.createDatabase();
    const load = await start(url);
    const database = new URL(url).pathname.slice(1);
    const kill = `select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 order by random() limit 1`;
    await check(load, async () => void (await server.query(kill, [database])), 10);
  });

  test('connections are cut', async () => {
    const server = await postgres.start();
    const { proxy, url } = await proxied(server, await server.createDatabase());
    const load = await start(url);
    await check(load, async () => expect(proxy.reset()).toBeGreaterThan(0), 5);
  });

  test('answers are lost', async () => {
    const server = await postgres.start();
    const { proxy, url } = await proxied(server, await server.createDatabase());
    const load = await start(url);
    await check(load, () => loseAnswers(load, proxy));
  });

  test('the server has no connection left, and has some again', async () => {
    const server = await postgres.start({ conf: ['max_connections=12', 'superuser_reserved_connections=0'] });
    const url = await server.createDatabase();
    const load = await start(url);
    await check(load, async () => {
      const hogs: Client[] = [];
      const lost = event(load.messaging, 'disconnected');
      const database = new URL(url).pathname.slice(1);
      const killer = await plain(server.url());
      await killer.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [database]);
      // Whoever comes first has it: they are taken until none is left.
      for (let open = true; open;)
        open = await plain(server.url()).then(
          (client) => hogs.push(client) > 0,
          () => false,
        );
      await lost;
      await Promise.all(hogs.map((client) => client.end()));
    });
  });

  test('a transaction is held open, in another database and in this one', async () => {
    const server = await postgres.start();
    const url = await server.createDatabase();
    const load = await start(url);
    await check(load, async () => {
      for (const other of [await server.createDatabase(), url]) {
        const client = await plain(other);
        await client.query('begin isolation level repeatable read');
        await client.query('create table held as select 1');
      }
    });
  });

  test('PgBouncer is in between, in transaction mode', async () => {
    const server = await postgres.start();
    const url = new URL(await server.createDatabase());
    const pooler = await server.startPooler();
    url.port = String(pooler.port);
    try {
      const load = await start(url.href, { preparedStatements: false });
      const database = url.pathname.slice(1);
      const kill = 'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1';
      await check(load, async () => void (await server.query(kill, [database])), 2);
    } finally {
      await closeApplications();
      await pooler.stop();
    }
  });

  test('nobody can be notified', async () => {
    const server = await postgres.start();
    const url = await server.createDatabase();
    const database = new URL(url).pathname.slice(1);
    await server.query('create role plain login password $$plain$$', [], database).catch(() => undefined);
    for (const text of [
      'revoke execute on function pg_notify(text, text) from public',
      `grant create on database ${database} to plain`,
    ])
      await server.query(text, [], database);
    const target = new URL(url);
    [target.username, target.password] = ['plain', 'plain'];
    const load = await start(target.href);
    await check(load, async () => undefined);
    expect(load.application.log.lines.join('\n')).toMatch(/notif.*permission denied/i);
  });
});
