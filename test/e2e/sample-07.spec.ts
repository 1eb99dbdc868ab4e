import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { AppModule } from '../../sample/07-dead-letters/app.module.js';
import { guide } from '../../sample/07-dead-letters/guide.js';
import { main } from '../../lib/cli/main.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { curl, curlLines } from './support/curl.js';
import { serve } from './support/serve.js';

describe('sample 07, dead letters', () => {
  describe('on the embedded broker', () => payments(async () => undefined));
  describeRabbit('by AMQP_URL', (rabbit) => payments(() => rabbit.freshVhostUrl(), true));
});

function payments(amqpUrl: () => Promise<string | undefined>, rabbit = false): void {
  let amqp: string | undefined;
  let app: INestApplication;
  let text: string;
  let lines: string[];

  beforeAll(async () => {
    amqp = await amqpUrl();
    app = await serve(AppModule, { AMQP_URL: amqp });
    text = guide(await app.getUrl());
    lines = curlLines(text);
  }, 60_000);
  afterAll(() => app?.close());

  const letters = async (): Promise<any> => (await curl(lines[1])).body;

  test('payments that fail become dead letters, a page at a time', async () => {
    expect(await curl(lines[0])).toMatchObject({ status: 201, body: { published: 20 } });
    await waitFor(async () => (await letters()).count === 20, '20 dead letters', 30_000);
    const { letters: page } = await letters();
    expect(page).toHaveLength(10);
    expect(page[0]).toEqual({
      id: expect.any(String),
      reason: 'attempts-exhausted',
      attempts: 2,
      error: 'BankClosedError: The bank is closed',
    });
    const seen = new Set(page.map(({ id }: { id: string }) => id));
    const { body } = await curl(`${lines[1]}?page=1`);
    for (const { id } of body.letters) seen.add(id);
    expect(seen.size).toBe(20);
    expect((await curl(`${lines[1]}?error=OtherError`)).body.letters).toEqual([]);
  });

  (rabbit ? test : test.skip)('the command of the guide lists them, where there is a broker to be asked', async () => {
    const command = /npx nestjs-messaging (dead-letters list .*)/.exec(text)![1].split(' ');
    let output = '';
    const stdout = { write: (more: string) => ((output += more), true) } as unknown as NodeJS.WriteStream;
    expect(await main(command, { stdout, stderr: stdout, env: { ...process.env, AMQP_URL: amqp } })).toBe(0);
    expect(output).toContain('20 listed of 20 in the queue');
  });

  test('while the bank is closed a redrive stops at its first canary', async () => {
    const { status, body } = await curl(lines[2]);
    expect({ status, body }).toMatchObject({
      status: 200,
      body: { done: 1, stopped: 'canary', canaries: [{ fate: 'failed' }] },
    });
    await waitFor(async () => (await letters()).count === 20, 'the canary to be back', 30_000);
  });

  test('when it is open again a redrive sends all, and each is booked once', async () => {
    expect((await curl(lines[3])).body).toEqual({ open: true, booked: 0, cents: 0 });
    const { body } = await curl(lines[4]);
    expect(body).toMatchObject({ done: 20, matched: 20 });
    expect(body).not.toHaveProperty('stopped');
    expect(body.canaries.map(({ fate }: { fate: string }) => fate)).toEqual(Array(6).fill('handled'));
    await waitFor(async () => (await curl(lines[5])).body.booked === 20, 'all bookings', 30_000);
    expect((await curl(lines[5])).body.cents).toBe(20 * 100 + 190);
    await waitFor(async () => (await letters()).count === 0, 'no dead letters', 30_000);
  });
}
