import { describe, expect, test, afterEach } from '@jest/globals';
import { Client } from 'pg';
import { describePostgres, describePostgresNode } from './postgres.js';
import { provide } from './postgres/provide.js';

async function ask(url: string, text: string): Promise<unknown[][]> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<unknown[]>({ text, rowMode: 'array' })).rows;
  } finally {
    await client.end();
  }
}

describePostgres('a PostgreSQL server', (postgres) => {
  test('has the version it says', async () => {
    const [[version]] = await ask(await postgres.url(), 'show server_version');
    expect(version).toMatch(new RegExp(`^${postgres.version.replace('.', '\\.')}`));
  });
});

describePostgresNode('a PostgreSQL server of the run', (postgres) => {
  test('has after SIGKILL what it committed', async () => {
    const server = await postgres.start();
    const url = await server.createDatabase();
    await ask(url, 'create table kept as select 42 as answer');
    await server.restart();
    expect(await ask(url, 'select answer from kept')).toEqual([[42]]);
  });

  test('lets nobody in without the password', async () => {
    const server = await postgres.start({ password: 'p:ss' });
    const url = server.url().replace('p%3Ass', 'wrong');
    await expect(ask(url, 'select 1')).rejects.toThrow(/password/);
  });

  test('can have PgBouncer in front of it', async () => {
    const server = await postgres.start();
    const pooler = await server.startPooler();
    try {
      expect(await ask(server.url('postgres', { port: pooler.port }), 'select 1')).toEqual([[1]]);
    } finally {
      await pooler.stop();
    }
  });

  test('says in its log why it cannot start', async () => {
    await expect(postgres.start({ conf: ['no_such_setting=1'] })).rejects.toThrow(/did not start[^]*no_such_setting/);
  });
});

describe('without PostgreSQL', () => {
  const before = process.env;
  afterEach(() => {
    process.env = before;
  });

  test.each(['none', 'rabbitmq'])('TEST_BROKERS=%s provides none and says so', async (selection) => {
    process.env = { ...before, TEST_BROKERS: selection };
    expect((await provide()).skipped).toEqual([{ broker: 'PostgreSQL', reason: `TEST_BROKERS=${selection}` }]);
  });

  test('an unreachable TEST_POSTGRES_URL provides none and says so', async () => {
    process.env = { ...before, TEST_BROKERS: '', TEST_POSTGRES_URL: 'postgres://127.0.0.1:1' };
    const { available, skipped } = await provide();
    expect(available).toEqual([]);
    expect(skipped[0].reason).toMatch(/TEST_POSTGRES_URL: .*ECONNREFUSED/);
  });
});
