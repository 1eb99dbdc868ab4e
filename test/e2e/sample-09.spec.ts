import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { AppModule } from '../../sample/09-transactional-send/app.module.js';
import { guide } from '../../sample/09-transactional-send/guide.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { curl, curlLines } from './support/curl.js';
import { serve } from './support/serve.js';

describe('sample 09, transactional send', () => {
  describe('on the embedded broker', () => orders(async () => undefined));
  describeRabbit('by AMQP_URL', (rabbit) => orders(() => rabbit.freshVhostUrl()));
});

function orders(amqpUrl: () => Promise<string | undefined>): void {
  const directory = mkdtempSync(join(tmpdir(), 'sample-09-'));
  let amqp: Promise<string | undefined> | undefined;
  let app: INestApplication;
  let lines: string[];

  beforeEach(async () => {
    app = await serve(AppModule, {
      AMQP_URL: await (amqp ??= amqpUrl()),
      ORDERS_FILE: join(directory, 'orders.json'),
      RECORDS_FILE: join(directory, 'transactions.sqlite'),
    });
    lines = curlLines(guide(await app.getUrl()));
  }, 60_000);
  afterEach(() => app.close());
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const state = async (): Promise<any> => (await curl(lines[3])).body;
  const mails = (...items: string[]): string[] => items.map((item) => `Thank you for ordering a ${item}`);

  test('there is a mail for what has committed, also where the answer was lost, and for nothing else', async () => {
    expect((await curl(lines[0])).body).toEqual({ outcome: 'confirmed' });
    expect((await curl(lines[1])).body).toEqual({ outcome: 'It is out of stock' });
    expect((await curl(lines[2])).body).toEqual({ outcome: 'confirmed' });
    await waitFor(async () => (await state()).mails.length === 2, 'two mails');
    expect(await state()).toEqual({ orders: [{ item: 'book' }, { item: 'lamp' }], mails: mails('book', 'lamp') });
    // Until the process that dies has committed, nothing of it is here.
    const kill = jest.spyOn(process, 'kill').mockReturnValue(true);
    curl(lines[4]).catch(() => undefined);
    await waitFor(() => kill.mock.calls.length === 1, 'its death');
    expect(kill).toHaveBeenCalledWith(process.pid, 'SIGKILL');
    kill.mockRestore();
    expect((await state()).orders).toHaveLength(3);
    expect((await state()).mails).toHaveLength(2);
  });

  test('the next process sends the mail of the order that was stored by the one that died', async () => {
    await waitFor(async () => (await state()).mails.length > 0, 'the mail', 30_000);
    expect((await state()).mails).toEqual(mails('desk'));
  });

  test('what is no order is refused', async () => {
    for (const wrong of ['{}', '{"item":""}', '{"item":"a","ending":"explodes"}'])
      expect((await curl(lines[0].replace(/'\{.*\}'/, `'${wrong}'`))).status).toBe(400);
  });
}
