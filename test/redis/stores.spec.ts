import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Redis } from 'ioredis';
import { redisIdempotencyStore } from 'nestjs-messaging/stores';
import { idempotencyStoreContract, type IdempotencyStoreHarness } from 'nestjs-messaging/testing';
import { describeRedis } from '../brokers/redis.js';
import { plainRedis } from './plain.js';

describeRedis('the idempotency store', (redis) => {
  const clients: Redis[] = [];

  beforeAll(async () => {
    const url = await redis.url();
    clients.push(plainRedis(url), plainRedis(url));
  });
  afterAll(() => clients.forEach((client) => client.disconnect()));

  const harness: IdempotencyStoreHarness = {
    create: (clock) => {
      const prefix = randomUUID();
      let views = 0;
      const open = () => redisIdempotencyStore({ client: clients[views++ % 2], prefix }).create({ clock });
      return { open, dispose: () => undefined };
    },
  };

  for (const { name, run } of idempotencyStoreContract(harness)) test(name, run);

  test('says that it is a passing reason when the server does not answer', async () => {
    const client = plainRedis('redis://127.0.0.1:1');
    client.options.maxRetriesPerRequest = 0;
    const store = redisIdempotencyStore({ client }).create({ clock: { now: () => 0 } as never });
    await expect(store.claim('key', 'a', 1)).rejects.toMatchObject({ code: 'IDEMPOTENCY_STORE', retryable: true });
    client.disconnect();
  });
});

test('an idempotency store without a client of Redis is refused', () => {
  expect(() => redisIdempotencyStore({ client: undefined as never })).toThrow(/redisIdempotencyStore\.client/);
  expect(() => redisIdempotencyStore({ client: { eval: async () => 0 }, prefix: '' })).toThrow(/prefix/);
});
