import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { guide } from '../../sample/04-idempotency/guide.js';
import { PaymentsModule } from '../../sample/04-idempotency/payments.module.js';
import { waitFor } from '../brokers/wait-for.js';
import { curl, curlLines } from './support/curl.js';
import { serve } from './support/serve.js';

describe('sample 04, payments that are charged once', () => {
  const directory = mkdtempSync(join(tmpdir(), 'sample-04-'));
  let app: INestApplication;
  let lines: string[];

  beforeEach(async () => {
    app = await serve(PaymentsModule, { AMQP_URL: undefined, HANDLED_FILE: join(directory, 'handled.sqlite') });
    lines = curlLines(guide(await app.getUrl()));
  });
  afterEach(() => app.close());
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const payments = async (): Promise<{ charges: any[]; recognised: any }> => (await curl(lines[2])).body;

  test('a payment asked for five times is charged once', async () => {
    for (let times = 0; times < 5; times++)
      expect(await curl(lines[0])).toEqual({ status: 201, body: { id: 'order-7', outcome: 'confirmed' } });
    await waitFor(async () => (await payments()).recognised.duplicates === 4, 'four duplicates');
    expect((await payments()).charges).toEqual([{ id: 'order-7', card: 'ada', cents: 1999, call: 1 }]);
  });

  test('a payment that failed is tried again, and charged once', async () => {
    await curl(lines[1]);
    await waitFor(async () => (await payments()).charges.length === 1, 'the charge');
    await curl(lines[1]);
    await waitFor(async () => (await payments()).recognised.duplicates === 1, 'the duplicate');
    expect((await payments()).charges).toEqual([{ id: 'order-8', card: 'busy', cents: 500, call: 3 }]);
  });

  test('after a restart both are still known; another one is charged', async () => {
    await curl(lines[0]);
    await curl(lines[1]);
    await curl(lines[0].replace('order-7', 'order-9'));
    await waitFor(async () => (await payments()).charges.length === 1, 'the new one');
    await waitFor(async () => (await payments()).recognised.duplicates === 2, 'two duplicates');
    expect((await payments()).charges).toEqual([{ id: 'order-9', card: 'ada', cents: 1999, call: 1 }]);
  });

  test('what is no payment is refused', async () => {
    for (const wrong of [
      '{"card":"ada","cents":1}',
      '{"id":"a","card":"","cents":1}',
      '{"id":"a","card":"x","cents":0}',
    ])
      expect((await curl(lines[0].replace(/'\{.*\}'/, `'${wrong}'`))).status).toBe(400);
  });
});
