import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { systemClock } from 'nestjs-messaging';
import {
  type DeadLetterArchive,
  redisCoordinationStore,
  redisDeadLetterArchive,
  redisIdempotencyStore,
  type RedisStoreOptions,
  redisTransactionRecords,
} from 'nestjs-messaging/stores';
import {
  coordinationStoreContract,
  deadLetterArchiveContract,
  idempotencyStoreContract,
  type ManualClock,
  transactionRecordsContract,
} from 'nestjs-messaging/testing';
import { archiveEntry } from '../../lib/dead-letter/dead-letter-collector.js';
import type { TransactionRecordStore } from '../../lib/transaction/transaction-record.js';
import { describeRedis, describeRedisNode } from '../brokers/redis.js';
import type { RedisServer } from '../brokers/redis/server.js';
import { waitFor } from '../brokers/wait-for.js';
import { letter } from '../unit/support/dead-letters.js';
import { plainRedis } from './plain.js';

const LEASE = 60_000;
const scope = 'shop:default:fake';

const archiveOf = (options: RedisStoreOptions): DeadLetterArchive =>
  redisDeadLetterArchive(options).create({ clock: systemClock });
const recordsOf = (options: RedisStoreOptions): TransactionRecordStore =>
  redisTransactionRecords(options).create({ clock: systemClock, scope });

function record(id: string, body = 'body'): Parameters<TransactionRecordStore['prepare']>[0] {
  return { id, route: 'a', timeoutMs: 1, preparedAt: 2, meta: '{}', body: Buffer.from(body) };
}

describeRedis('stores in Redis', (redis) => {
  const clients: Redis[] = [];

  beforeAll(async () => {
    const url = await redis.url();
    clients.push(plainRedis(url), plainRedis(url));
  });
  afterAll(() => clients.forEach((client) => client.disconnect()));

  /** A store that two processes share, each with a client of its own. */
  const shared =
    <Store>(make: (options: { client: Redis; prefix: string }, clock: ManualClock) => Store) =>
    (clock: ManualClock): { open: () => Store; dispose: () => void } => {
      const prefix = randomUUID();
      let views = 0;
      return { open: () => make({ client: clients[views++ % 2], prefix }, clock), dispose: () => undefined };
    };
  const create = {
    handled: shared((options, clock) => redisIdempotencyStore(options).create({ clock })),
    coordination: shared((options, clock) => redisCoordinationStore(options).create({ clock })),
    archive: shared((options, clock) => redisDeadLetterArchive(options).create({ clock })),
    records: shared((options, clock) => redisTransactionRecords(options).create({ clock, scope })),
  };

  describe('the idempotency store', () => {
    for (const { name, run } of idempotencyStoreContract({ create: create.handled })) test(name, run);
  });

  describe('the coordination store', () => {
    for (const { name, run } of coordinationStoreContract({ create: create.coordination })) test(name, run);
  });

  describe('the archive of dead letters', () => {
    for (const { name, run } of deadLetterArchiveContract({ create: create.archive })) test(name, run);
  });

  describe('the records of transactional sends', () => {
    for (const { name, run } of transactionRecordsContract({ create: create.records })) test(name, run);
  });

  test('an archive finds what is far behind what it looks at in one go, with bodies that fill several answers', async () => {
    const archive = archiveOf({ client: clients[0], prefix: randomUUID() });
    const many = Array.from({ length: 1_300 }, (_, at) => ({ ...archiveEntry('dlq', letter('a')), key: `${at}` }));
    await archive.add(many.slice(0, -4));
    const wide = Buffer.alloc(3 * 2 ** 20, 7);
    for (const { key, deadLetterQueue, message } of many.slice(-4))
      await archive.add([{ key, deadLetterQueue: `${deadLetterQueue}-wide`, message: { ...message, body: wide } }]);
    const found = await archive.page({ queues: ['dlq-wide'] }, 0, 10);
    expect(found.map(({ key, message }) => [key, message.body.equals(wide)])).toEqual(
      ['1296', '1297', '1298', '1299'].map((key) => [key, true]),
    );
    expect(await archive.count({ queues: ['dlq'] })).toBe(1_296);
    expect(await archive.count({ queues: ['dlq'] }, found[0].seq)).toBe(0);
    expect((await archive.page({}, 0, 700)).map(({ key }) => key)).toEqual(many.slice(0, 700).map(({ key }) => key));
    expect((await archive.page({}, 0, 5_000)).length).toBe(1_300);
  });

  test('records are adopted from far behind those of processes that live', async () => {
    const records = recordsOf({ client: clients[0], prefix: randomUUID() });
    const ids = Array.from({ length: 1_200 }, (_, at) => `${at}`);
    await Promise.all(ids.map((id) => records.prepare(record(id), 'lives')));
    for (const id of ['x', 'y', 'z']) await records.prepare(record(id), 'ended');
    await records.leave('ended');
    expect((await records.adopt('b', ['a'], 2)).map(({ id }) => id)).toEqual(['x', 'y']);
    expect((await records.adopt('b', ['other'], 10)).length).toBe(0);
    expect((await records.adopt('b', ['a'], 10)).map(({ id }) => id)).toEqual(['z']);
    expect((await records.page(undefined, 0, 2_000)).length).toBe(1_203);
  });

  test('a record that the client has sent twice is one, and another with its id is refused', async () => {
    const records = recordsOf({ client: clients[0], prefix: randomUUID() });
    await records.prepare(record('a'), 'me');
    await records.prepare(record('a'), 'me');
    await expect(records.prepare(record('a'), 'other')).rejects.toThrow('there is a record a already');
    expect((await records.count()).prepared).toBe(1);
  });

  test('take texts with NUL and halves of characters', async () => {
    const archive = archiveOf({ client: clients[0], prefix: randomUUID() });
    const keys = ['a\0b', '\ud800', '"', '\\u0000', '{a}', "'"];
    await archive.add(keys.map((key) => ({ ...archiveEntry(key, { ...letter('a'), id: key }), key })));
    expect(await archive.count({ ids: keys })).toBe(keys.length);
    expect(await archive.count({ queues: ['\ud800'] })).toBe(1);
    expect(await archive.allowRetry(keys, true)).toBe(keys.length);
    expect(await archive.claim(['a\0b', '{a}'], 'token', LEASE)).toEqual(['a\0b', '{a}']);
    expect(await archive.delete(['"'])).toBe(1);
  });

  test('say that it is a passing reason when the server does not answer in time', async () => {
    const client = plainRedis('redis://127.0.0.1:1');
    const options = { client, waitTimeout: 100 };
    const archive = archiveOf(options);
    await archive.open!();
    await expect(archive.count()).rejects.toMatchObject({ code: 'DEAD_LETTER_ARCHIVE', retryable: true });
    const records = recordsOf(options);
    await records.open!();
    await expect(records.prepare(record('a'), 'me')).rejects.toMatchObject({ code: 'TRANSACTION_RECORD' });
    client.disconnect();
    const ended = plainRedis('redis://127.0.0.1:1');
    ended.options.maxRetriesPerRequest = 0;
    const store = redisIdempotencyStore({ client: ended }).create({ clock: systemClock });
    await expect(store.claim('key', 'a', 1)).rejects.toMatchObject({ code: 'IDEMPOTENCY_STORE', retryable: true });
    ended.disconnect();
  });
});

describeRedisNode('stores in Redis', (redis) => {
  const clients: Redis[] = [];
  const own = (url: string): Redis => clients[clients.push(plainRedis(url)) - 1];
  let one: Promise<RedisServer> | undefined;
  const start = (): Promise<RedisServer> => (one ??= redis.start());
  afterEach(() => clients.splice(0).forEach((client) => client.disconnect()));

  const opens = (options: RedisStoreOptions): Promise<unknown>[] => [
    archiveOf(options).open!(),
    recordsOf(options).open!(),
  ];

  test.each([
    [{ maxmemory: '100mb', 'maxmemory-policy': 'allkeys-lru' }, /maxmemory-policy allkeys-lru/],
    [{ appendonly: 'no' }, /appendonly is off/],
  ])('refuse a server with %j, at boot and where it becomes so', async (settings, reason) => {
    const server = await start();
    const client = own(server.url);
    const archive = archiveOf({ client, prefix: randomUUID() });
    await archive.add([archiveEntry('dlq', letter('a'))]);
    const set = async (all: Record<string, string>): Promise<void> => {
      for (const [name, value] of Object.entries(all)) await server.command('config', 'set', name, value);
    };
    await set(settings);
    try {
      for (const opening of opens({ client })) await expect(opening).rejects.toThrow(reason);
      // A process that comes now; one that is there looks once a minute.
      const other = archiveOf({ client });
      await expect(other.add([archiveEntry('dlq', letter('b'))])).rejects.toThrow(reason);
      expect(await other.count()).toBe(0);
    } finally {
      await set({ maxmemory: '0', 'maxmemory-policy': 'noeviction', appendonly: 'yes' });
    }
    for (const opening of opens({ client })) await opening;
  });

  test('refuse a key that holds something else, by its name, and do nothing by half', async () => {
    const server = await start();
    const client = own(server.url);
    const options = { client, prefix: 'foreign' };
    const archive = archiveOf(options);
    await archive.add([{ ...archiveEntry('dlq', letter('a')), key: 'a' }]);
    await client.del('{foreign}:bodies');
    await client.set('{foreign}:bodies', 'somebody else');
    await expect(archive.open!()).rejects.toThrow('its key «{foreign}:bodies» holds a string of somebody else');
    await expect(archive.delete(['a'])).rejects.toMatchObject({ code: 'DEAD_LETTER_ARCHIVE' });
    expect(await client.zcard('{foreign}:places')).toBe(1);
    const records = recordsOf(options);
    await client.set(`{foreign}:${scope}:owners`, 'somebody else');
    await expect(records.prepare(record('a'), 'me')).rejects.toThrow('owners» holds a string');
    expect(await client.keys(`{foreign}:${scope}:*`)).toEqual([`{foreign}:${scope}:owners`]);
  });

  test.each(['eval', 'info', 'type', 'zadd', 'zrem', 'hset', 'hget', 'hdel', 'incr', 'zrangebyscore'])(
    'name the command that the user may not run: %s',
    async (command) => {
      const server = await start();
      await server.command('acl', 'setuser', 'limited', 'reset', 'on', '>limited', '~*', '+@all', `-${command}`);
      const client = own(server.urlOf('limited', 'limited'));
      for (const opening of opens({ client }))
        await expect(opening).rejects.toThrow(new RegExp(`Redis.*(?:may not|no permissions).*\\b${command}\\b`));
    },
  );

  test('need no more than their keys and commands', async () => {
    const server = await start();
    const calls = 'eval info type time incr get zadd zrem zscore zcard zcount zrangebyscore hset hget hdel hexists hgetall hincrby'; // prettier-ignore
    const rules = calls.split(' ').map((name) => `+${name}`);
    await server.command('acl', 'setuser', 'few', 'reset', 'on', '>few', '~{few}:*', ...rules);
    const options = { client: own(server.urlOf('few', 'few')), prefix: 'few' };
    const [archive, records] = [archiveOf(options), recordsOf(options)];
    for (const opening of opens(options)) await opening;
    await archive.add([{ ...archiveEntry('dlq', letter('a')), key: 'a' }]);
    expect(await archive.claim(['a'], 'token', LEASE)).toEqual(['a']);
    expect(await archive.delete(['a'], 'token')).toBe(1);
    await records.prepare(record('a'), 'me');
    await records.leave('me');
    expect((await records.adopt('b', ['a'], 1)).length).toBe(1);
    await records.commit(record('a'), 'b');
    expect(await records.remove('a', 'b')).toBe(true);
    for (const opening of opens({ ...options, prefix: 'other' }))
      await expect(opening).rejects.toThrow(/NOPERM|may not/);
  });

  test('refuse what is new while memory is full, and settle what they have', async () => {
    const server = await start();
    const client = own(server.url);
    const options = { client, prefix: 'full' };
    const [archive, records] = [archiveOf(options), recordsOf(options)];
    await archive.add(['a', 'b'].map((key) => ({ ...archiveEntry('dlq', letter(key)), key })));
    for (const id of ['a', 'b']) await records.prepare(record(id), 'me');
    await server.command('config', 'set', 'maxmemory', 1);
    try {
      const three = ['c', 'd'].map((key) => ({ ...archiveEntry('dlq', letter(key)), key }));
      await expect(archive.add(three)).rejects.toThrow(/OOM/);
      await expect(records.prepare(record('c'), 'me')).rejects.toThrow(/OOM/);
      expect(await archive.allowRetry(['a'], true)).toBe(1);
      expect(await archive.claim(['a'], 'token', LEASE)).toEqual(['a']);
      expect(await archive.delete(['a'], 'token')).toBe(1);
      await records.commit(record('a'), 'me');
      expect(await records.note('b', 'me', { state: 'parked', checks: 1, reason: 'why' })).toBe(true);
      expect(await records.remove('a', 'me')).toBe(true);
      expect(await archive.count()).toBe(1);
    } finally {
      await server.command('config', 'set', 'maxmemory', 0);
    }
    expect(await records.count()).toEqual({ prepared: 0, unknown: 0, parked: 1, committed: 0 });
  });

  test('lose nothing that was confirmed when the server is killed amid calls, and nothing stands by half', async () => {
    const server = await redis.start();
    const client = own(server.url);
    const options = { client, prefix: 'killed', waitTimeout: 500 };
    const [archive, records] = [archiveOf(options), recordsOf(options)];
    const kept = new Set<string>();
    const given = new Map<string, string>();
    let stopped = false;
    const work = async (worker: number): Promise<void> => {
      for (let n = 0; !stopped; n++) {
        const key = `${worker}-${n}`;
        await archive.add([{ ...archiveEntry('dlq', letter('a')), key }]).then(() => kept.add(key), () => undefined); // prettier-ignore
        const told = (state: string) => () => given.set(key, state);
        await records.prepare(record(key), 'me').then(told('prepared'), () => undefined);
        if (n % 2 && given.has(key)) await records.commit(record(key), 'me').then(told('committed'), told('either'));
      }
    };
    const working = Array.from({ length: 8 }, (_, worker) => work(worker));
    for (let kills = 0; kills < 3; kills++) {
      const before = kept.size;
      await waitFor(() => kept.size > before + 40, 'more calls');
      await server.kill();
      await server.restart();
    }
    stopped = true;
    await Promise.all(working);
    const archived = new Set((await archive.page({}, 0, 100_000)).map(({ key }) => key));
    expect([...kept].filter((key) => !archived.has(key))).toEqual([]);
    expect(await archive.count()).toBe(archived.size);
    const states = new Map((await records.page(undefined, 0, 100_000)).map(({ id, state }) => [id, state as string]));
    for (const [id, state] of given)
      if (state === 'either') expect(['prepared', 'committed']).toContain(states.get(id));
      else expect([id, states.get(id)]).toEqual([id, state]);
    const { prepared, committed } = await records.count();
    expect(prepared + committed).toBe(states.size);
  });

  test('keep all their keys in one slot of a cluster', async () => {
    const nodes = await Promise.all([1, 2].map(() => redis.start({ settings: { 'cluster-enabled': 'yes' } })));
    await nodes[0].command('cluster', 'addslotsrange', 0, 16_383);
    await waitFor(async () => String(await nodes[0].command('cluster', 'info')).includes('cluster_state:ok'));
    const options = { client: own(nodes[0].url) };
    const [archive, records] = [archiveOf(options), recordsOf(options)];
    for (const opening of opens(options)) await opening;
    await archive.add([{ ...archiveEntry('dlq', letter('a')), key: 'a' }]);
    expect((await archive.page({}, 0, 1)).length).toBe(1);
    await records.prepare(record('a'), 'me');
    expect((await records.find('a'))?.owner).toBe('me');
  });
});

test.each([
  ['redisCoordinationStore', redisCoordinationStore],
  ['redisDeadLetterArchive', redisDeadLetterArchive],
  ['redisTransactionRecords', redisTransactionRecords],
])('%s refuses what it does not know', (name, make: (options: any) => unknown) => {
  const client = new Redis({ lazyConnect: true });
  for (const [options, option] of [
    [{}, 'client'],
    [{ client: { eval: async () => 0 } }, 'client'],
    [{ client, prefix: 'a{b' }, 'prefix'],
    [{ client, waitTimeout: 0 }, 'waitTimeout'],
    [{ client, url: 'redis://a' }, 'url'],
  ] as const) {
    expect(() => make(options)).toThrow(option);
    expect(() => make(options)).toThrow(name);
  }
  client.disconnect();
});

test('an idempotency store without a client of Redis is refused', () => {
  expect(() => redisIdempotencyStore({ client: undefined as never })).toThrow(/redisIdempotencyStore\.client/);
  expect(() => redisIdempotencyStore({ client: { eval: async () => 0 }, prefix: '' })).toThrow(/prefix/);
});
