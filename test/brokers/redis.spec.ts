import { afterEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { describeRedis, describeRedisNode } from './redis.js';
import { provide } from './redis/provide.js';

async function ask<T>(url: string, question: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
  let refusal: Error | undefined;
  client.on('error', (error) => (refusal ??= error));
  try {
    await client.connect();
    return await question(client);
  } catch (error) {
    throw refusal ?? error;
  } finally {
    client.disconnect();
  }
}

describeRedis('a Redis server', (redis) => {
  test('has the version it says', async () => {
    const info = await ask(await redis.url(), (client) => client.info('server'));
    expect(info).toMatch(new RegExp(`^(redis|valkey)_version:${redis.version.replaceAll('.', '\\.')}\\r?$`, 'm'));
  });
});

describeRedisNode('a Redis server of the run', (redis) => {
  test('has after SIGKILL what it answered, with appendfsync always', async () => {
    const server = await redis.start();
    await ask(server.url, (client) => client.set('kept', '42'));
    await server.restart();
    expect(await ask(server.url, (client) => client.get('kept'))).toBe('42');
  });

  test('lets nobody in without the password', async () => {
    const server = await redis.start({ password: 'p:ss' });
    await expect(ask(server.urlOf('default', 'wrong'), (client) => client.get('kept'))).rejects.toThrow(/WRONGPASS/);
  });

  test('says in its log why it cannot start', async () => {
    await expect(redis.start({ settings: { 'no-such-setting': '1' } })).rejects.toThrow(
      /did not start[^]*no-such-setting/,
    );
  });
});

describe('without Redis', () => {
  const before = process.env;
  afterEach(() => {
    process.env = before;
  });

  test.each(['none', 'rabbitmq'])('TEST_BROKERS=%s provides none and says so', async (selection) => {
    process.env = { ...before, TEST_BROKERS: selection };
    expect((await provide()).skipped).toEqual([{ broker: 'Redis', reason: `TEST_BROKERS=${selection}` }]);
  });

  test('an unreachable TEST_REDIS_URL provides none and says so', async () => {
    process.env = { ...before, TEST_BROKERS: '', TEST_REDIS_URL: 'redis://127.0.0.1:1' };
    const { available, skipped } = await provide();
    expect(available).toEqual([]);
    expect(skipped[0].reason).toMatch(/TEST_REDIS_URL: /);
  });
});
