import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { transportContract } from 'nestjs-messaging/testing';
import { describeRedis } from '../brokers/redis.js';
import { secret } from './proxied.harness.js';
import { RedisHarness } from './redis.harness.js';
import { skipped } from './skipped.js';

describeRedis('transport contract', (redis) => {
  const harness = new RedisHarness(redis.title, redis.ours);
  const cases = transportContract(harness);

  beforeAll(async () => {
    if (!redis.ours) return harness.start(redis.sharedUrl!);
    const server = await redis.start({ password: secret });
    await harness.start(server.url, server);
  });
  afterAll(() => harness.stop());

  for (const { name, unmet, run } of cases) if (unmet.length === 0) it(name, run);

  it('skips exactly the cases of the list', () => {
    const names = cases.filter(({ unmet }) => unmet.length > 0).map(({ name }) => name);
    expect(names.sort()).toEqual([...(redis.ours ? skipped.redis : skipped.redisByUrl)].sort());
  });
});
