import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { guide } from '../../sample/01-shop/guide.js';
import { ShopModule } from '../../sample/01-shop/shop.module.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Answer, curl, curlLines } from './support/curl.js';
import { serve } from './support/serve.js';

const root = resolve(__dirname, '../..');

describe('sample 01, a shop', () => {
  describe('on the embedded broker', () => shop('memory', async () => undefined));
  describeRabbit('by AMQP_URL', (rabbit) => shop('rabbitmq', () => rabbit.freshVhostUrl()));
});

function shop(store: 'memory' | 'rabbitmq', amqpUrl: () => Promise<string | undefined>): void {
  let app: INestApplication;
  let url: string;
  let lines: string[];

  beforeAll(async () => {
    app = await serve(ShopModule, { AMQP_URL: await amqpUrl() });
    url = (await app.getUrl()).replace('[::1]', 'localhost');
    lines = curlLines(guide(url));
  });

  afterAll(() => app?.close());

  const get = (path: string): Promise<Answer> => curl(`curl ${url}${path}`);
  const inDeadLetters = async (): Promise<any[]> => (await get('/dead-letters')).body as any[];

  test('prints three commands to try', () => {
    expect(lines).toHaveLength(3);
  });

  test('handles an order in both subscriptions', async () => {
    const { status, body } = await curl(lines[0]);
    expect({ status, body }).toEqual({ status: 201, body: { id: expect.any(String), outcome: 'confirmed' } });
    await waitFor(async () => handledBy((await get('/orders')).body, body.id).length === 2, 'both subscriptions');
    const { body: entries } = await get('/orders');
    expect(handledBy(entries, body.id)).toEqual(['billing', 'warehouse']);
    expect(entries.find(({ id }: any) => id === body.id).order).toEqual({ item: 'book', quantity: 2 });
  });

  test('gives an order that always fails three calls, then keeps it in the dead letters', async () => {
    const began = Date.now();
    const { status, body } = await curl(lines[1]);
    expect(status).toBe(201);
    await waitFor(async () => (await inDeadLetters()).length === 1, 'the dead letter', 20_000);
    expect(Date.now() - began).toBeGreaterThanOrEqual(400);
    const deadLetter = {
      id: body.id,
      deadLetterQueue: 'shop:warehouse:dlq',
      route: 'order.created',
      body: '{"item":"broken","quantity":1}',
      reason: 'attempts-exhausted',
      attempts: 3,
      error: '«broken» cannot be packed (call 3)',
    };
    expect(await inDeadLetters()).toEqual([deadLetter]);
    expect(handledBy((await get('/orders')).body, body.id)).toEqual(['billing']);

    expect(await curl(`curl -X POST ${url}/dead-letters/redrive`)).toEqual({
      status: 200,
      body: { done: 1, failed: 0 },
    });
    await waitFor(async () => (await inDeadLetters()).length === 1, 'the dead letter again', 20_000);
    expect(await inDeadLetters()).toEqual([deadLetter]);
  });

  test('shows connection, consumers, retry queue and dead letters as health', async () => {
    const messaging = async (): Promise<any> => (await curl(lines[2])).body.info.messaging;
    await waitFor(
      async () =>
        (await messaging()).deadLetters.queues.find((one: any) => one.queue === 'shop:warehouse:dlq')?.count === 1,
      'the dead letter in the counts',
      20_000,
    );
    expect(await curl(lines[2])).toMatchObject({ status: 200, body: { status: 'ok' } });
    expect(await messaging()).toMatchObject({
      status: 'up',
      connection: { state: 'connected', blocked: false, host: store === 'memory' ? 'memory' : expect.any(String) },
      consumers: [
        { queue: 'shop:billing:queue', state: 'consuming' },
        { queue: 'shop:warehouse:queue', state: 'consuming' },
      ],
      retryQueue: { store: 'memory', depth: 0, bytes: 0, oldestAgeMs: 0 },
      deadLetters: { publisher: 0 },
    });
  });

  test.each(['{"item":5}', '{"item":"book","quantity":0.5}', '{"item":""}', '["book"]', 'null', '{"item"', ''])(
    'answers 400 to the body %j and publishes nothing',
    async (bad) => {
      const before = (await get('/orders')).body;
      const { status, body } = await curl(`curl -X POST ${url}/orders -H 'content-type: application/json' -d '${bad}'`);
      expect({ status, ...body }).toMatchObject({ status: 400, statusCode: 400 });
      expect((await get('/orders')).body).toEqual(before);
    },
  );
}

function handledBy(entries: any[], id: string): string[] {
  return [...(entries.find((entry) => entry.id === id)?.handledBy ?? [])].sort() as string[];
}

describe('npm start', () => {
  let child: ChildProcess;
  let output = '';

  afterEach(() => void child?.kill('SIGKILL'));

  test('prints where it listens and what to try, does it, and ends cleanly on SIGTERM', async () => {
    const { AMQP_URL: _, ...env } = process.env;
    child = spawn(process.execPath, ['scripts/start.mjs'], { cwd: root, env: { ...env, PORT: '0', NO_COLOR: '1' } });
    child.stdout!.on('data', (data) => (output += data));
    child.stderr!.on('data', (data) => (output += data));
    const ended = once(child, 'exit');
    await waitFor(() => output.includes('Ctrl+C') || child.exitCode !== null, `the guide in: ${output}`, 110_000);

    const [place, placeBroken, health] = curlLines(output);
    expect(output).toMatch(/open at http:\/\/localhost:[1-9]\d*/);
    expect(await curl(place)).toMatchObject({ status: 201, body: { outcome: 'confirmed' } });
    const { body: broken } = await curl(placeBroken);
    await waitFor(() => output.includes(`message ${broken.id} went to «shop:warehouse:dlq»`), 'the dead letter');
    expect(await curl(health)).toMatchObject({ status: 200, body: { status: 'ok' } });

    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
    expect(output).not.toMatch(/ERROR/);
  }, 120_000);

  test('says so when it cannot listen', async () => {
    output = '';
    const env = { ...process.env, PORT: 'no-port/at-all', NO_COLOR: '1' };
    child = spawn(process.execPath, ['scripts/start.mjs'], { cwd: root, env });
    child.stdout!.on('data', (data) => (output += data));
    child.stderr!.on('data', (data) => (output += data));
    expect(await once(child, 'exit')).toEqual([1, null]);
    expect(output).toContain('The shop cannot listen');
  }, 120_000);
});
