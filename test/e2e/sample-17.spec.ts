import { afterEach, describe, expect, test } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { guide } from '../../sample/17-redis-jobs/guide.js';
import { PicturesModule } from '../../sample/17-redis-jobs/pictures.module.js';
import { describeRedis } from '../brokers/redis.js';
import { waitFor } from '../brokers/wait-for.js';
import { curl, curlLines } from './support/curl.js';
import { serve } from './support/serve.js';

describe('sample 17, jobs in Redis', () => {
  let app: INestApplication | undefined;

  afterEach(async () => {
    await app?.close();
    app = undefined;
  });

  /** All that the guide shows, in its order. */
  async function everyLine(environment: Readonly<Record<string, string | undefined>>): Promise<void> {
    app = await serve(PicturesModule, environment);
    const [cat, dog, song, small, failed, retry] = curlLines(guide(await app.getUrl()));
    for (const line of [cat, cat, dog, song])
      expect(await curl(line)).toMatchObject({ status: 201, body: { outcome: 'confirmed' } });
    await waitFor(async () => ((await curl(failed)).body as unknown[]).length === 1, 'the one that cannot be done');
    expect((await curl(failed)).body).toEqual([{ id: 'song.mp3', error: 'song.mp3 is no picture' }]);
    await waitFor(async () => ((await curl(small)).body as unknown[]).length === 2, 'both pictures');
    expect(((await curl(small)).body as string[]).sort()).toEqual(['cat.png', 'dog.png']);
    expect(await curl(retry)).toMatchObject({ status: 202, body: { again: 1 } });
    await waitFor(async () => ((await curl(failed)).body as unknown[]).length === 1, 'its second failure');
    expect((await curl(cat.replace('cat.png', '../etc'))).status).toBe(400);
  }

  test('are done, retried, delayed and given up without a server', async () => {
    await everyLine({ REDIS_URL: undefined });
  });

  describeRedis('on a server', (redis) => {
    test('are done, retried, delayed and given up', async () => {
      await everyLine({ REDIS_URL: await redis.url(), REDIS_PREFIX: `sample-${process.pid}-${Date.now()}` });
    });
  });
});
