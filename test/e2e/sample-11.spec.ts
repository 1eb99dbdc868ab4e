import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { AppModule } from '../../sample/11-request-reply/app.module.js';
import { guide } from '../../sample/11-request-reply/guide.js';
import { describeNats } from '../brokers/nats.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { curl, curlLines } from './support/curl.js';
import { serve } from './support/serve.js';

describe('sample 11, request and reply', () => {
  describe('on the embedded broker', () => quotes(async () => ({})));
  describeRabbit('by AMQP_URL', (rabbit) => quotes(async () => ({ AMQP_URL: await rabbit.freshVhostUrl() })));
  describeNats('by NATS_URL', (server) => quotes(async () => ({ NATS_URL: await server.url() })));
});

function quotes(broker: () => Promise<Record<string, string>>): void {
  let app: INestApplication;
  let lines: string[];

  beforeEach(async () => {
    app = await serve(AppModule, { AMQP_URL: undefined, NATS_URL: undefined, ...(await broker()) });
    lines = curlLines(guide(await app.getUrl()));
  }, 60_000);
  afterEach(() => app.close());

  test('is answered, with an error where that is the answer, given up in time, and told at once where nobody is there', async () => {
    const [book, unicorn, lamp, nobody, replies] = lines;
    expect((await curl(book)).body).toEqual({ price: 12 });
    expect((await curl(unicorn)).body).toEqual({ error: 'NOT_SOLD', details: { sold: ['book', 'chair'] } });
    expect((await curl(lamp)).body).toEqual({ error: 'REQUEST_TIMEOUT' });
    expect((await curl(nobody)).body).toEqual({ error: 'UNROUTABLE' });
    await waitFor(async () => (await curl(replies)).body.late === 1, 'the late reply', 30_000);
    expect((await curl(replies)).body).toEqual({ late: 1, second: 0, unknown: 0 });
  });
}
