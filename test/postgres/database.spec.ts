import { afterEach, expect, test } from '@jest/globals';
import { postgresAddress } from '../../lib/clients/postgres-address.js';
import { PostgresDatabase } from '../../lib/clients/postgres-database.js';
import { describePostgres } from '../brokers/postgres.js';

describePostgres('a database as a client of its own', (postgres) => {
  let opened: PostgresDatabase | undefined;
  afterEach(async () => opened?.close());

  async function database(connections = 2): Promise<PostgresDatabase> {
    const address = postgresAddress('store', await postgres.url());
    opened = new PostgresDatabase({ address, connections, neededBy: 'A test', applicationName: 'test' });
    return opened;
  }

  test('keeps all of a transaction, or nothing', async () => {
    const db = await database();
    await db.query('create table pairs (n int)');
    const both = db.transaction(async (client) => {
      await client.query('insert into pairs values ($1)', [1]);
      return (await client.query('insert into pairs values ($1) returning n', [2]))[0].n;
    });
    await expect(both).resolves.toBe(2);
    const failing = db.transaction(async (client) => {
      await client.query('insert into pairs values (3)', []);
      throw new Error('thought better of it');
    });
    await expect(failing).rejects.toThrow('thought better of it');
    expect(await db.query('select n from pairs order by n')).toEqual([{ n: 1 }, { n: 2 }]);
  });

  test('says so where an error that was swallowed has undone a transaction', async () => {
    const db = await database();
    await db.query('create table swallowed (n int)');
    const swallowing = db.transaction(async (client) => {
      await client.query('insert into swallowed values (1)', []);
      await client.query('select 1 / 0', []).catch(() => {});
    });
    await expect(swallowing).rejects.toThrow('was rolled back');
    expect(await db.query('select n from swallowed')).toEqual([]);
  });

  test('outlives the loss of connections, idle or amid a transaction', async () => {
    const db = await database();
    const kill =
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'test' and pid <> pg_backend_pid()";
    const lost = db.transaction(async (client) => {
      await db.query(kill);
      await client.query('select 1', []);
    });
    await expect(lost).rejects.toThrow();
    expect(await db.query('select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('takes values of every kind of the port, as values', async () => {
    const db = await database();
    const text = `'); drop table x; --`;
    const bytes = Buffer.from([0, 255, 92]);
    const rows = await db.query(
      'select $1::text as text, $2::int as number, $3::bool as yes, $4::text as nothing, $5::bytea as bytes, unnest($6::text[]) as texts, unnest($7::bytea[]) as buffers',
      [text, 7, true, null, bytes, [text, '{"a"}'], [bytes, Buffer.alloc(0)]],
    );
    expect(rows).toEqual([
      { text, number: 7, yes: true, nothing: null, bytes, texts: text, buffers: bytes },
      { text, number: 7, yes: true, nothing: null, bytes, texts: '{"a"}', buffers: Buffer.alloc(0) },
    ]);
  });
});
