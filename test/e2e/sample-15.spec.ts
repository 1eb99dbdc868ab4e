import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { Messaging } from 'nestjs-messaging';
import { AppModule } from '../../sample/15-invoices/app.module.js';
import { guide } from '../../sample/15-invoices/guide.js';
import { describeNats } from '../brokers/nats.js';
import { Proxy } from '../brokers/proxy.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { event } from './support/application.js';
import { curl, curlLines } from './support/curl.js';
import { serve } from './support/serve.js';

type State = Readonly<Record<'orders' | 'journal' | 'failures' | 'invoices' | 'deadLetters', string[]>>;

describe('sample 15, orders and their invoices', () => {
  describe('on the embedded broker', () => invoices(() => Promise.resolve(undefined)));
  describeRabbit('on', (rabbit) => invoices(() => rabbit.freshVhostUrl(), 'AMQP_URL'));
  describeNats('on', (nats) => invoices(() => nats.url(), 'NATS_URL'));
});

function invoices(urlOf: () => Promise<string | undefined>, variable?: 'AMQP_URL' | 'NATS_URL'): void {
  const folder = mkdtempSync(join(tmpdir(), 'sample-15-'));
  let environment: Record<string, string | undefined>;
  let proxy: Proxy | undefined;
  let app: INestApplication;
  let lines: string[];

  async function start(): Promise<void> {
    app = await serve(AppModule, environment);
    lines = curlLines(guide(await app.getUrl()));
  }

  beforeAll(async () => {
    const url = await urlOf();
    proxy = url === undefined ? undefined : await Proxy.start(url);
    environment = { AMQP_URL: undefined, NATS_URL: undefined, DATA_FOLDER: folder };
    if (variable) environment[variable] = proxy!.url(url!);
    await start();
  }, 60_000);
  afterAll(async () => {
    await app?.close();
    await proxy?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const [BOOK, LAMP, DESK, SOFA] = [0, 1, 2, 3];
  const place = (line: number, order?: string): Promise<{ status: number; body: unknown }> =>
    curl(order === undefined ? lines[line] : lines[line].replace(/"order":"[^"]*"/, `"order":"${order}"`));
  const state = async (): Promise<State> => (await curl(lines[4])).body as State;
  const until = (fits: (now: State) => boolean, what: string): Promise<void> =>
    waitFor(async () => fits(await state()), what);
  const times = (list: readonly string[], order: string): number => list.filter((name) => name === order).length;

  // There: ten sent, none handled, all acked.
  test('a handler of which only the route is said gets each of ten orders', async () => {
    const orders = Array.from({ length: 10 }, (_, at) => `book-${at}`);
    for (const order of orders) expect((await place(BOOK, order)).body).toEqual({ outcome: 'confirmed' });
    await until(({ journal, invoices: printed }) => journal.length >= 10 && printed.length >= 10, 'all orders');
    const { journal, invoices: printed } = await state();
    expect([...journal].sort()).toEqual(orders);
    expect([...printed].sort()).toEqual(orders);
  });

  // There: the key stays held, and the retry deletes the message as a duplicate.
  test('a handler that throws has its order again, and an order that comes twice is invoiced once', async () => {
    await place(LAMP);
    await until(({ invoices: printed }) => printed.includes('lamp-1'), 'the invoice of the lamp');
    await place(LAMP);
    await until(({ journal }) => times(journal, 'lamp-1') === 2, 'the second message of the lamp');
    const { idempotency } = app
      .get(Messaging)
      .health()
      .consumers.find(({ queue }) => queue === 'shop:invoices:queue')!;
    await waitFor(
      () =>
        app
          .get(Messaging)
          .health()
          .consumers.some((consumer) => (consumer.idempotency?.duplicates ?? 0) > 0),
      'the duplicate to be recognised',
    );
    expect(idempotency).toBeDefined();
    const { failures, invoices: printed, orders } = await state();
    expect(failures).toEqual(['lamp-1, call 1', 'lamp-1, call 2']);
    expect(times(printed, 'lamp-1')).toBe(1);
    expect(times(orders, 'lamp-1')).toBe(1);
  });

  // There: committed, never sent, and no error. Here also where the process ends before there is a broker again.
  test('a transaction that is slower than its check-back, and a send that then fails: it is sent', async () => {
    const lost = proxy && event(app.get(Messaging), 'disconnected');
    await proxy?.refuse(true);
    proxy?.reset();
    await lost;
    const { body } = await place(SOFA);
    expect(body).toEqual({ outcome: expect.stringContaining('has not ended 500 ms after its timeout') });
    await until(({ orders }) => orders.includes('sofa-1'), 'the order to be stored');
    if (proxy) {
      expect((await state()).journal).not.toContain('sofa-1');
      await app.close();
      await start();
      await proxy.refuse(false);
    }
    await until(({ invoices: printed }) => printed.includes('sofa-1'), 'the invoice of the sofa');
    await waitFor(async () => (await app.get(Messaging).transactions.list()).length === 0, 'no transaction in doubt');
    expect(times((await state()).invoices, 'sofa-1')).toBe(1);
  });

  // There: attempts are counted by the process, and a duplicate check deletes what was not handled.
  test('what is given up is kept with its error, and printed when it may be tried again', async () => {
    await place(DESK);
    await until(({ deadLetters }) => deadLetters.length > 0, 'the dead letter');
    const { deadLetters, failures } = await state();
    expect(deadLetters).toEqual(['desk-1, 3 calls: The paper is torn']);
    expect(failures.slice(-3)).toEqual([1, 2, 3].map((call) => `desk-1, call ${call}`));
    expect((await curl(lines[5])).body).toEqual({ allowed: 1 });
    await until(({ invoices: printed }) => printed.includes('desk-1'), 'the invoice of the desk');
    await until((now) => now.deadLetters.length === 0, 'an empty archive');
    expect(times((await state()).invoices, 'desk-1')).toBe(1);
  });

  test('what is no order is refused', async () => {
    for (const wrong of ['{}', '{"order":"a b"}', '{"order":"a","paper":"none"}'])
      expect((await curl(lines[BOOK].replace(/'\{.*\}'/, `'${wrong}'`))).status).toBe(400);
  });

  // What the embedded broker holds ends with its application.
  (variable === undefined ? test.skip : test)(
    'a delayed retry goes on in the next process, with its count',
    async () => {
      await place(LAMP, 'lamp-2');
      await until(({ failures }) => failures.includes('lamp-2, call 1'), 'the first call');
      const before = (await state()).failures;
      await app.close();
      await start();
      await until(({ invoices: printed }) => printed.includes('lamp-2'), 'the invoice of the second lamp');
      const calls = [...before, ...(await state()).failures].filter((call) => call.startsWith('lamp-2'));
      expect(new Set(calls)).toEqual(new Set(['lamp-2, call 1', 'lamp-2, call 2']));
    },
  );
}
