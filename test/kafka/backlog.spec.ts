import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, expect, jest, test } from '@jest/globals';
import { bounded, MessagingModule } from 'nestjs-messaging';
import { kafka } from '../../lib/transports/kafka/kafka.js';
import { describeKafka } from '../brokers/kafka.js';
import { waitFor } from '../brokers/wait-for.js';
import { boot, closeApplications } from '../e2e/support/application.js';
import { withProducer } from './admin.js';

const COUNT = Number(process.env.BACKLOG ?? 1_000_000);
const TOGETHER = 5_000;
const LOOKS = 10;
/** Megabytes by which the heap may differ between looks. */
const FLAT = 24;

jest.setTimeout(900_000);
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** A million messages by default: with LONG_RUNS=1. */
const long = process.env.LONG_RUNS ? describeKafka : (): void => test.skip('a backlog: LONG_RUNS=1', () => {});
long(
  'a backlog',
  (broker) => {
    afterEach(closeApplications);

    test('is worked off until the lag is 0, each message once, in flat memory', async () => {
      const server = await broker.start();
      const transport = kafka({ brokers: server.url, topic: 'backlog', partitions: 6 });
      const { messaging } = await boot({ imports: [MessagingModule.forRoot({ service: 'late', transport })] });
      const calls = new Uint8Array(COUNT);
      const heaps: number[] = [];
      let handled = 0;
      const options = { route: 'counted', prefetch: 500, concurrency: bounded(100) };
      await (await messaging.subscribe(options, async () => {})).stop();
      await withProducer(server.url, async (producer) => {
        for (let sent = 0; sent < COUNT; sent += TOGETHER) {
          const messages = Array.from({ length: Math.min(TOGETHER, COUNT - sent) }, (_, at) => ({
            key: `k${at}`,
            value: JSON.stringify({ at: sent + at, text: 'x'.repeat(200) }),
            headers: { 'message-id': `m${sent + at}`, 'message-route': 'counted', 'content-type': 'application/json' },
          }));
          await producer.send({ topic: 'backlog', messages });
        }
      });
      const began = Date.now();
      await messaging.subscribe(options, async (payload) => {
        calls[(payload as { at: number }).at]++;
        if (++handled % Math.ceil(COUNT / LOOKS) !== 0) return;
        collect();
        heaps.push(process.memoryUsage().heapUsed / 2 ** 20);
      });
      await waitFor(() => handled >= COUNT, 'the whole backlog', 600_000);
      const seconds = (Date.now() - began) / 1_000;
      process.stderr.write(`${COUNT} in ${seconds.toFixed(1)} s, heap MB ${heaps.map((heap) => heap.toFixed(1)).join(' ')}\n`); // prettier-ignore
      await waitFor(() => messaging.health().consumers[0].group?.lag === 0, 'no lag', 30_000);
      expect(calls.every((count) => count === 1)).toBe(true);
      expect(Math.max(...heaps.slice(1)) - heaps[0]).toBeLessThan(FLAT);
    });
  },
  { own: true },
);
