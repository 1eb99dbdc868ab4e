import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { guide } from '../../sample/06-batches/guide.js';
import { ReadingsModule } from '../../sample/06-batches/readings.module.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { curl, curlLines } from './support/curl.js';
import { serve } from './support/serve.js';

describe('sample 06, batches', () => {
  describe('on the embedded broker', () => readings(async () => undefined));
  describeRabbit('by AMQP_URL', (rabbit) => readings(() => rabbit.freshVhostUrl()));
});

function readings(amqpUrl: () => Promise<string | undefined>): void {
  let app: INestApplication;
  let lines: string[];

  beforeAll(async () => {
    app = await serve(ReadingsModule, { AMQP_URL: await amqpUrl() });
    lines = curlLines(guide(await app.getUrl()));
  });
  afterAll(() => app?.close());

  const stored = async (): Promise<{ rows: number; inserts: number; largest: number }> => (await curl(lines[2])).body;

  test('a burst is stored by few inserts of at most a hundred rows', async () => {
    expect(await curl(lines[0])).toEqual({ status: 201, body: { confirmed: 250 } });
    await waitFor(async () => (await stored()).rows === 250, 'all rows');
    const { inserts, largest } = await stored();
    expect(largest).toBeLessThanOrEqual(100);
    expect(largest).toBeGreaterThan(1);
    expect(inserts).toBeGreaterThanOrEqual(3);
    expect(inserts).toBeLessThan(250);
  });

  test('requests that publish at the same time each get their own answer', async () => {
    const { rows } = await stored();
    const url = lines[2].replace('curl -s ', '');
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, celsius) =>
        curl(`curl -X POST ${url} -H 'content-type: application/json' -d '{"sensor":"cellar","celsius":${celsius}}'`),
      ),
    );
    expect(new Set(answers.map(({ body }) => body.id as string)).size).toBe(20);
    expect(answers.every(({ status, body }) => status === 201 && body.outcome === 'confirmed')).toBe(true);
    await waitFor(async () => (await stored()).rows === rows + 20, 'twenty more');
  });

  test('a reading that cannot be stored is a dead letter that says why, and nothing else is', async () => {
    const { status, body } = await curl(lines[1]);
    expect({ status, outcome: body.outcome }).toEqual({ status: 201, outcome: 'confirmed' });
    await waitFor(async () => (await curl(lines[3])).body.length === 1, 'the dead letter');
    expect((await curl(lines[3])).body).toEqual([{ id: body.id, error: '999 °C is out of range' }]);
  });

  test.each(['{"sensor":"roof"}', '{"sensor":"","celsius":1}', 'null', '[]'])(
    'answers 400 to the body %j',
    async (bad) => {
      const url = lines[2].replace('curl -s ', '');
      const { status } = await curl(`curl -X POST ${url} -H 'content-type: application/json' -d '${bad}'`);
      expect(status).toBe(400);
    },
  );
}
