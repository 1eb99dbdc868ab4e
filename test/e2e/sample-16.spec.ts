import { afterEach, describe, expect, test } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { guide } from '../../sample/16-kafka-rabbitmq/guide.js';
import { ParcelsModule } from '../../sample/16-kafka-rabbitmq/parcels.module.js';
import { describeKafka } from '../brokers/kafka.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { withProducer } from '../kafka/admin.js';
import { curl, curlLines } from './support/curl.js';
import { serve } from './support/serve.js';

type Parcels = Readonly<Record<string, { place: string; queue: string }[]>>;

const OWN = 'parcels:own:queue';
const CARRIERS = 'parcels:carriers:queue';

describe('sample 16, one handler for Kafka and RabbitMQ', () => {
  let app: INestApplication | undefined;

  afterEach(async () => {
    await app?.close();
    app = undefined;
  });

  /** The sample with these brokers, as its guide shows it. */
  async function start(environment: Readonly<Record<string, string | undefined>>): Promise<{
    lines: string[];
    parcels: () => Promise<Parcels>;
    scan: (line: string) => Promise<void>;
  }> {
    app = await serve(ParcelsModule, environment);
    const lines = curlLines(guide(await app.getUrl()));
    return {
      lines,
      parcels: async () => (await curl(lines[2])).body as Parcels,
      scan: async (line) => {
        expect(await curl(line)).toMatchObject({ status: 201, body: { outcome: 'confirmed' } });
      },
    };
  }

  test('handles what comes from either, without a broker of its own', async () => {
    const { lines, parcels, scan } = await start({ KAFKA_URL: undefined, AMQP_URL: undefined });
    for (const line of lines.slice(0, 2)) await scan(line);
    await waitFor(async () => (await parcels())['p-1']?.length === 2, 'both scans');
    const seen = [...(await parcels())['p-1']].sort((a, b) => (a.place < b.place ? -1 : 1));
    expect(seen).toEqual([
      { place: 'Bern', queue: CARRIERS },
      { place: 'depot', queue: OWN },
    ]);
    for (const wrong of ['"by":"nobody"', '"by":"us","place":""'])
      expect((await curl(lines[0].replace('"by":"carrier"', wrong))).status).toBe(400);
  });

  describeKafka('on Kafka', (kafka) => {
    describeRabbit('and RabbitMQ', (rabbit) => {
      test('handles what carriers write with a client of their own, and what we publish', async () => {
        const [url, amqp] = [await kafka.url(), await rabbit.freshVhostUrl()];
        const topic = `parcels-${process.pid}-${Date.now()}`;
        const { lines, parcels, scan } = await start({ KAFKA_URL: url, KAFKA_TOPIC: topic, AMQP_URL: amqp });
        const places = ['Bern', 'Olten', 'Basel'];
        await withProducer(url, (producer) =>
          producer.send({
            topic,
            messages: places.map((place) => ({
              key: 'p-2',
              value: JSON.stringify({ parcel: 'p-2', place }),
              headers: { 'message-route': 'parcel.scanned' },
            })),
          }),
        );
        for (const line of lines.slice(0, 2)) await scan(line);
        const all = async (): Promise<boolean> => Object.values(await parcels()).flat().length === 5;
        await waitFor(all, 'every scan', 30_000);
        const { 'p-1': ours, 'p-2': theirs } = await parcels();
        expect(theirs).toEqual(places.map((place) => ({ place, queue: CARRIERS })));
        expect(new Set(ours.map(({ queue }) => queue))).toEqual(new Set([OWN, CARRIERS]));
      }, 90_000);
    });
  });
});
