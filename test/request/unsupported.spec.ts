import { afterEach, expect, test } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { MessagingModule, Publisher, Subscribe, type TransportFactory } from 'nestjs-messaging';
import { kafka } from 'nestjs-messaging/kafka';
import { postgres } from 'nestjs-messaging/postgres';
import { redis } from 'nestjs-messaging/redis';
import { Requester, Respond } from 'nestjs-messaging/request';
import { sqs } from 'nestjs-messaging/sqs';
import { describeKafka } from '../brokers/kafka.js';
import { describePostgres } from '../brokers/postgres.js';
import { describeRedis } from '../brokers/redis.js';
import { describeSqs } from '../brokers/sqs.js';
import { waitFor } from '../brokers/wait-for.js';
import { boot, closeApplications } from '../e2e/support/application.js';

afterEach(closeApplications);

const WITHIN = 60_000;

@Injectable()
class Responder {
  @Respond('quote')
  quote(): number {
    return 1;
  }
}

@Injectable()
class Plain {
  readonly handled: unknown[] = [];

  @Subscribe('quote')
  quote(body: unknown): number {
    return this.handled.push(body);
  }
}

describePostgres('a broker without replies', (broker) =>
  suite('PostgreSQL', async () => {
    const url = await broker.url();
    return () => postgres({ url });
  }),
);
describeRedis('a broker without replies', (broker) =>
  suite('Redis', async () => {
    const url = await broker.url();
    return () => redis({ url, prefix: `requests-${process.pid}` });
  }),
);
describeKafka('a broker without replies', (broker) =>
  suite('Kafka', async () => {
    const brokers = await broker.url();
    return () => kafka({ brokers, topic: `requests-${process.pid}`, partitions: 1 });
  }),
);
describeSqs('a broker without replies', (broker) =>
  suite('SQS', async () => {
    const endpoint = await broker.url();
    const options = { credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };
    return () => sqs({ region: 'us-east-1', endpoint, prefix: `requests-${process.pid}-`, waitTime: 0, options });
  }),
);

function suite(name: string, fresh: () => Promise<() => TransportFactory>): void {
  test(
    'refuses a responder at boot and a request at once, with the remedy; a handler is told once that somebody waits in vain',
    async () => {
      const transport = await fresh();
      const module = (): ReturnType<typeof MessagingModule.forRoot> =>
        MessagingModule.forRoot({ service: 'shop', transport: transport() });
      const refused = await boot({ imports: [module()], providers: [Responder] }).catch((error: unknown) => error);
      expect(refused).toMatchObject({ code: 'UNSUPPORTED' });
      expect((refused as Error).message).toContain('use @Subscribe');

      const { get, log } = await boot({ imports: [module()], providers: [Plain] });
      const { handled } = get(Plain);
      const asked = await get(Requester)
        .request('quote', { n: 0 }, { timeout: 2 ** 30 })
        .catch((error: unknown) => error);
      expect(asked).toMatchObject({ code: 'UNSUPPORTED' });
      expect((asked as Error).message).toContain('publish the answer as a message of its own');
      expect(get(Requester).pending).toBe(0);

      for (const n of [1, 2]) await get(Publisher).publish('quote', { n }, { replyTo: 'somewhere' });
      await waitFor(() => handled.length === 2, 'both', WITHIN);
      // What was refused was not sent.
      expect(handled).toEqual(expect.arrayContaining([{ n: 1 }, { n: 2 }]));
      const told = log.lines.filter((line) => line.includes('asks for a reply'));
      expect(told).toEqual([expect.stringMatching(/gets none: replies are not supported on .+ waits in vain/)]);
      expect(told[0].toLowerCase()).toContain(name.toLowerCase().slice(0, 5));
    },
    3 * WITHIN,
  );
}
