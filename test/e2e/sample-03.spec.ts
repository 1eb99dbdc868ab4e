import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { AppModule } from '../../sample/03-requeue/app.module.js';
import { guide } from '../../sample/03-requeue/guide.js';
import { describeNats } from '../brokers/nats.js';
import { waitFor } from '../brokers/wait-for.js';
import { curl, curlLines } from './support/curl.js';
import { serve } from './support/serve.js';

describeNats('sample 03, a message for later', (nats) => {
  const directory = mkdtempSync(join(tmpdir(), 'sample-03-'));
  let app: INestApplication;
  let lines: string[];

  beforeAll(async () => {
    app = await serve(AppModule, { NATS_URL: await nats.url(), DATA_DIR: directory });
    lines = curlLines(guide(await app.getUrl()));
  });
  afterAll(async () => {
    await app?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const handled = async (): Promise<any[]> => (await curl(lines[2])).body as any[];

  test('an order is handed over at once, and its subscriber reminded later', async () => {
    const began = Date.now();
    const { status, body } = await curl(lines[0]);
    expect({ status, body }).toEqual({ status: 201, body: { id: expect.any(String), queue: 'reminders' } });
    expect(await handled()).toEqual([]);
    await waitFor(async () => (await handled()).length === 1, 'the reminder');
    expect(Date.now() - began).toBeGreaterThanOrEqual(999);
    expect(await handled()).toEqual([{ id: body.id, item: 'book', attempt: 1 }]);
  });

  test('what always fails is a dead letter after three attempts, and health shows it', async () => {
    const { body } = await curl(lines[1]);
    const attempts = async (): Promise<number[]> =>
      (await handled()).filter(({ id }) => id === body.id).map(({ attempt }) => attempt);
    await waitFor(async () => (await attempts()).length === 3, 'three attempts');
    expect(await attempts()).toEqual([1, 2, 3]);
    await waitFor(async () => (await curl(lines[3])).body.store.deadLetters === 1, 'the dead letter');
    expect((await curl(lines[3])).body).toMatchObject({
      status: 'up',
      connection: { state: 'connected' },
      queues: [{ queue: 'reminders', depth: 0, deadLetters: 1, delivered: 1, failed: 3 }],
    });
  });
});
