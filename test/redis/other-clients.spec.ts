import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { redisDeadLetterArchive, redisIdempotencyStore, redisTransactionRecords } from 'nestjs-messaging/stores';
import {
  deadLetterArchiveContract,
  idempotencyStoreContract,
  transactionRecordsContract,
  transportContract,
} from 'nestjs-messaging/testing';
import { npmFolderBesideBrokers } from '../brokers/npm-folder.js';
import { describeRedisNode } from '../brokers/redis.js';
import { secret } from '../contract/proxied.harness.js';
import { RedisHarness } from '../contract/redis.harness.js';

interface Clients {
  readonly Redis: new (url: string, options?: object) => any;
}

const installed = npmFolderBesideBrokers('redis-clients', join(__dirname, 'clients'));

/** One that is not among those of this repository. */
function load(name: string): Clients & { version: string } {
  const folder = join(installed.folder!, 'node_modules', name);
  const { version } = jest.requireActual<{ version: string }>(join(folder, 'package.json'));
  return { ...jest.requireActual<Clients>(folder), version };
}

let loaded: string | undefined;
jest.doMock('ioredis', () => {
  const client = load('ioredis-previous');
  loaded = client.version;
  return client;
});

/** What the transport asks of its client, each once; `LONG_RUNS=1` is the whole contract. */
const CASES = [
  'a body arrives byte for byte: every byte value',
  'headers keep their types: numbers, booleans, null, bytes, lists, nested',
  'an acked message is gone',
  'peer: foreign headers survive a delayed copy with their types',
  'a dead letter reaches the dead-letter queue bound by its route, complete',
  'what was taken at the limit has room to be retried and to become a dead letter, with all it had and the reason',
  'a delayed message to a queue by its name comes when it is due, not earlier',
  'deliveries under way are reported lost once, cannot be settled any more, and come again',
  'reconnect under load: everything confirmed is delivered, what failed can be sent again',
  'connect to an unreachable broker resolves and connects when it can be reached',
  'connect with credentials that the broker refuses rejects, without showing them',
  'neither host nor events nor errors show the credentials',
  'a message over which the broker ends the connection is refused; all that was sent with it is confirmed, and what comes after it',
  'a broker that is killed and started again has what it confirmed: messages, dead letters, delays, consumers',
];

describeRedisNode('other clients of Redis', (redis) => {
  if (installed.reason !== undefined || !redis.newest)
    return test.skip(installed.reason ?? 'are shown with the newest server', () => undefined);

  describe('the oldest of ioredis that the transport takes', () => {
    const harness = new RedisHarness(redis.title, true);
    beforeAll(async () => {
      const server = await redis.start({ password: secret });
      await harness.start(server.url, server);
    });
    afterAll(() => harness.stop());

    const cases = transportContract(harness).filter(({ unmet }) => unmet.length === 0);
    for (const { name, run } of cases) if (process.env.LONG_RUNS || CASES.includes(name)) test(name, run);

    test('is what was tried', () => {
      expect(loaded).toBe('5.4.0');
      const names = cases.map(({ name }) => name);
      expect(CASES.filter((name) => !names.includes(name))).toEqual([]);
    });
  });

  describe.each(['ioredis-previous', 'iovalkey'])('the stores over %s', (name) => {
    let client: any;
    beforeAll(async () => {
      client = new (load(name).Redis)(await redis.url());
    });
    afterAll(() => client.disconnect());

    /** A store that is the same for all who open it. */
    const created =
      <Store>(make: (prefix: string) => Store) =>
      () => {
        const prefix = randomUUID();
        return { open: () => make(prefix), dispose: () => undefined };
      };
    idempotencyStoreContract({
      create: (clock) => created((prefix) => redisIdempotencyStore({ client, prefix }).create({ clock }))(),
    }).forEach(({ name: title, run }) => test(title, run));
    deadLetterArchiveContract({
      create: (clock) => created((prefix) => redisDeadLetterArchive({ client, prefix }).create({ clock }))(),
    }).forEach(({ name: title, run }) => test(title, run));
    transactionRecordsContract({
      create: (clock) =>
        created((prefix) => redisTransactionRecords({ client, prefix }).create({ clock, scope: 'shop' }))(),
    }).forEach(({ name: title, run }) => test(title, run));
  });
});
