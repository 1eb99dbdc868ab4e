import { afterEach, describe, expect, test } from '@jest/globals';
import { systemClock } from 'nestjs-messaging';
import {
  type CoordinationStore,
  postgresCoordinationStore,
  postgresDeadLetterArchive,
  postgresIdempotencyStore,
  postgresStoreSchema,
  postgresTransactionRecords,
} from 'nestjs-messaging/stores';
import {
  coordinationStoreContract,
  deadLetterArchiveContract,
  idempotencyStoreContract,
  type ManualClock,
  transactionRecordsContract,
} from 'nestjs-messaging/testing';
import { PostgresDatabase } from '../../lib/clients/postgres-database.js';
import { sharedPostgresPlace, sharedPostgresTable } from '../../lib/clients/shared-postgres-table.js';
import { rows } from '../../lib/clients/sql-table.js';
import { handledTable } from '../../lib/idempotency/sql-idempotency-store.js';
import { postgresAddress } from '../../lib/clients/postgres-address.js';
import type { IdempotencyStore } from '../../lib/idempotency/idempotency-store.js';
import { archiveEntry } from '../../lib/dead-letter/dead-letter-collector.js';
import { describePostgres, describePostgresNode } from '../brokers/postgres.js';
import { waitFor } from '../brokers/wait-for.js';
import { letter } from '../unit/support/dead-letters.js';

const LEASE = 60_000;
const scope = 'shop:default:fake';
const opened: { close(): Promise<void> }[] = [];

function own<Store extends { close(): Promise<void> }>(store: Store): Store {
  opened.push(store);
  return store;
}

afterEach(async () => void (await Promise.all(opened.splice(0).map((store) => store.close()))));

/** A client of somebody else. */
function plain(url: string): PostgresDatabase {
  const options = { connections: 2, neededBy: 'A test', applicationName: 'somebody' };
  return own(new PostgresDatabase({ address: postgresAddress('test', url), ...options }));
}

describePostgres('stores in PostgreSQL', (postgres) => {
  let database: Promise<string> | undefined;
  let schemas = 0;
  const place = async (): Promise<{ url: string; schema: string }> => ({
    url: await (database ??= postgres.url()),
    schema: `stores_${process.pid}_${++schemas}`,
  });
  const dispose = (): void => undefined;

  describe('the idempotency store', () => {
    const create = async (clock: ManualClock): Promise<{ open: () => IdempotencyStore; dispose: () => void }> => {
      const factory = postgresIdempotencyStore(await place());
      return { open: () => factory.create({ clock }), dispose };
    };
    for (const { name, run } of idempotencyStoreContract({ create })) test(name, run);
  });

  describe('the coordination store', () => {
    const create = async (clock: ManualClock): Promise<{ open: () => CoordinationStore; dispose: () => void }> => {
      const factory = postgresCoordinationStore(await place());
      return { open: () => factory.create({ clock }), dispose };
    };
    for (const { name, run } of coordinationStoreContract({ create })) test(name, run);
  });

  describe('the archive of dead letters', () => {
    const cases = deadLetterArchiveContract({
      async create(clock) {
        const factory = postgresDeadLetterArchive(await place());
        return { open: () => factory.create({ clock }), dispose };
      },
    });
    for (const { name, run } of cases) test(name, run);
  });

  describe('the records of transactional sends', () => {
    const cases = transactionRecordsContract({
      async create(clock) {
        const factory = postgresTransactionRecords(await place());
        return { open: () => factory.create({ clock, scope }), dispose };
      },
    });
    for (const { name, run } of cases) test(name, run);
  });

  test('are made by the first of many that open at once, or by a migration, and refused in another version', async () => {
    const { url, schema } = await place();
    const many = Array.from({ length: 8 }, () =>
      own(postgresIdempotencyStore({ url, schema }).create({ clock: systemClock })),
    );
    await Promise.all(many.map((store) => store.open!()));
    const db = plain(url);
    const other = `${schema}_other`;
    for (const statement of postgresStoreSchema(other).split(/;\n/))
      if (statement.trim() !== '') await db.query(statement);
    const archive = own(postgresDeadLetterArchive({ url, schema: other }).create({ clock: systemClock }));
    await archive.open!();
    expect(await archive.count()).toBe(0);
    await db.query(`update ${other}.stores set version = 99 where name = 'transaction_records'`);
    const records = own(postgresTransactionRecords({ url, schema: other }).create({ clock: systemClock, scope }));
    await expect(records.open!()).rejects.toMatchObject({
      code: 'TRANSACTION_RECORD',
      message: expect.stringContaining('is of version 99, and this package knows 1'),
    });
  });

  test('of a user who owns the schema and may make none make their tables', async () => {
    if (!postgres.ours) return;
    const { url, schema } = await place();
    const db = plain(url);
    await db.query(`create role ${schema}_owner login password 'own'`);
    await db.query(`create schema ${schema} authorization ${schema}_owner`);
    const theirs = Object.assign(new URL(url), { username: `${schema}_owner`, password: 'own' }).href;
    const store = own(postgresIdempotencyStore({ url: theirs, schema }).create({ clock: systemClock }));
    await store.open!();
    expect(await store.claim('key', 'token', LEASE)).toEqual({ state: 'acquired' });
  });

  test('of a user who may not make them say so, and what is missing', async () => {
    if (!postgres.ours) return;
    const { url, schema } = await place();
    const db = plain(url);
    await db.query(
      `do $$ begin create role limited login password 'secret'; exception when duplicate_object then null; end $$`,
    );
    const limited = Object.assign(new URL(url), { username: 'limited', password: 'secret' }).href;
    const store = own(postgresIdempotencyStore({ url: limited, schema }).create({ clock: systemClock }));
    await expect(store.open!()).rejects.toThrow(/lacks a privilege|permission denied/);
    const wrong = Object.assign(new URL(url), { password: 'wrong-secret' }).href;
    const refused = own(postgresIdempotencyStore({ url: wrong, schema }).create({ clock: systemClock }));
    const error = (await refused.open!().catch((thrown: unknown) => thrown)) as Error;
    expect(error.message).toContain('refuses the credentials');
    expect(JSON.stringify(error) + error.message).not.toContain('wrong-secret');
  });

  test('take texts with NUL and halves of characters, and no value reaches the text of a statement', async () => {
    const { url, schema } = await place();
    const store = own(postgresIdempotencyStore({ url, schema }).create({ clock: systemClock }));
    const keys = ['a\0b', '\ud800', `'; drop table handled; --`, '$1', '?', '\\u0000', '{a,b}', '"'];
    for (const key of keys) expect(await store.claim(key, 'a', LEASE)).toEqual({ state: 'acquired' });
    for (const key of keys) expect((await store.claim(key, 'b', LEASE)).state).toBe('in-progress');
    const archive = own(postgresDeadLetterArchive({ url, schema }).create({ clock: systemClock }));
    const entries = keys.map((key) => ({ ...archiveEntry('dlq', letter('a')), key }));
    await archive.add(entries);
    expect(await archive.allowRetry(keys, true)).toBe(keys.length);
    expect(await archive.claim(['$1', '{a,b}'], 'token', LEASE)).toEqual(expect.arrayContaining(['$1', '{a,b}']));
    expect(await archive.delete(['"'])).toBe(1);
  });

  test('go by the clock of the server, where those of machines differ', async () => {
    const { url, schema } = await place();
    const [one, two] = [1, 2].map(() => own(postgresIdempotencyStore({ url, schema }).create({ clock: systemClock })));
    await one.claim('key', 'a', LEASE);
    const claim = await two.claim('key', 'b', LEASE);
    expect(claim.state).toBe('in-progress');
    const [row] = await plain(url).query(
      `select (extract(epoch from clock_timestamp()) * 1000)::bigint::text as now, ends_at::text as ends from ${schema}.handled`,
    );
    expect(Math.abs(Number(row.ends) - Number(row.now) - LEASE)).toBeLessThan(30_000);
  });
});

describe.each([
  ['postgresIdempotencyStore', postgresIdempotencyStore],
  ['postgresCoordinationStore', postgresCoordinationStore],
  ['postgresDeadLetterArchive', postgresDeadLetterArchive],
  ['postgresTransactionRecords', postgresTransactionRecords],
])('%s', (name, make: (options: any) => unknown) => {
  test.each([
    [{ url: 'mysql://a' }, 'url'],
    [{ schema: 'Upper' }, 'schema'],
    [{ schema: 'a"b' }, 'schema'],
    [{ waitTimeout: 0 }, 'waitTimeout'],
    [{ options: 5 }, 'options'],
    [{ uri: 'postgres://a/b' }, 'uri'],
  ])('refuses %j', (options, option) => {
    expect(() => make(options)).toThrow(option);
    expect(() => make(options)).toThrow(name);
  });
});

describePostgresNode('stores in PostgreSQL under faults', (postgres) => {
  test('backends killed and the server restarted: a key has one owner, what was done stays done, and calls go on', async () => {
    const server = await postgres.start();
    const url = await server.createDatabase();
    const kill =
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'postgresIdempotencyStore'";
    const stores = Array.from({ length: 4 }, () =>
      own(postgresIdempotencyStore({ url }).create({ clock: systemClock })),
    );
    const owners = new Map<string, string[]>();
    const done = new Set<string>();
    let failures = 0;
    let stopped = false;
    const work = async (store: IdempotencyStore, process: number): Promise<void> => {
      for (let n = 0; !stopped; n++) {
        const key = `key-${n % 400}`;
        try {
          const token = `${process}-${n}`;
          if ((await store.claim(key, token, LEASE)).state !== 'acquired') continue;
          owners.set(key, [...(owners.get(key) ?? []), token]);
          if (await store.complete(key, token, LEASE)) done.add(key);
        } catch (error) {
          expect(error).toMatchObject({ code: 'IDEMPOTENCY_STORE' });
          failures++;
        }
      }
    };
    const working = stores.map((store, process) => work(store, process));
    for (let fault = 0; fault < 4; fault++) {
      const before = owners.size;
      if (fault === 2) await server.restart();
      else await server.query(kill);
      await waitFor(() => owners.size > before || owners.size === 400, 'more claims after a fault', 30_000);
    }
    stopped = true;
    await Promise.all(working);
    expect([...owners].filter(([, tokens]) => tokens.length > 1)).toEqual([]);
    for (const key of done) expect(await stores[0].claim(key, 'other', LEASE)).toEqual({ state: 'done' });
    expect(done.size).toBeGreaterThan(0);
    expect(failures).toBeLessThan(100);
  });

  test('a server that is down is no reason not to start; a call fails in time, and works when the server is there', async () => {
    const server = await postgres.start();
    const url = await server.createDatabase();
    await server.kill();
    const store = own(postgresIdempotencyStore({ url, waitTimeout: 300 }).create({ clock: systemClock }));
    await store.open!();
    await expect(store.claim('a', 'b', LEASE)).rejects.toMatchObject({ code: 'IDEMPOTENCY_STORE', retryable: true });
    await server.restart();
    expect(await store.claim('a', 'b', LEASE)).toEqual({ state: 'acquired' });
  });

  test('while somebody holds its lock a call fails in time, and the next one goes on', async () => {
    const server = await postgres.start();
    const url = await server.createDatabase();
    const [store] = [own(postgresIdempotencyStore({ url, waitTimeout: 500 }).create({ clock: systemClock }))];
    await store.claim('first', 'a', LEASE);
    const db = plain(url);
    const client = await db.connect();
    await client.query('begin', []);
    await client.query(
      "select pg_advisory_xact_lock(hashtextextended('nestjs-messaging:messaging:handled', 7267002))",
      [],
    );
    await expect(store.claim('second', 'a', LEASE)).rejects.toMatchObject({ code: 'IDEMPOTENCY_STORE' });
    await client.query('rollback', []);
    client.release();
    expect(await store.claim('second', 'a', LEASE)).toEqual({ state: 'acquired' });
  });

  test('a process that stands still amid a call loses its transaction, and holds up nobody for ever', async () => {
    const server = await postgres.start();
    const url = await server.createDatabase();
    const place = sharedPostgresPlace('test', { url, waitTimeout: 200 });
    const table = own(sharedPostgresTable(place, handledTable, systemClock));
    await table.open();
    const stands = table.call(function* () {
      yield* rows('SELECT 1');
      // Twice «waitTimeout» and more, without a turn of the event loop.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500);
      return yield* rows('SELECT 1');
    });
    await expect(stands).rejects.toMatchObject({ code: 'IDEMPOTENCY_STORE' });
    const other = own(postgresIdempotencyStore({ url }).create({ clock: systemClock }));
    expect(await other.claim('a', 'b', LEASE)).toEqual({ state: 'acquired' });
  });
});
