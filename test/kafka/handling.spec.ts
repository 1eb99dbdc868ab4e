import { afterEach, beforeAll, expect, jest, test } from '@jest/globals';
import { type MessageContext, MessagingModule, partitioned, Publisher, type TransportFactory } from 'nestjs-messaging';
import { kafka } from '../../lib/transports/kafka/kafka.js';
import type { KafkaOptions } from '../../lib/transports/kafka/options.js';
import { describeKafka } from '../brokers/kafka.js';
import type { KafkaServer } from '../brokers/kafka/server.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications } from '../e2e/support/application.js';
import { plain, withAdmin } from './admin.js';

jest.setTimeout(120_000);

/** Handlers on Kafka: what they throw, what order they see, and what a second process changes. */
describeKafka(
  'handlers',
  (broker) => {
    let server: KafkaServer;
    let topics = 0;

    beforeAll(async () => {
      server = await broker.start();
    });
    afterEach(closeApplications);

    const transport = (topic: string, routes: KafkaOptions['routes']): TransportFactory =>
      kafka({ brokers: server.url, topic, routes, partitions: 4, sessionTimeout: 6_000 });

    function start(topic: string, routes: KafkaOptions['routes'] = 'header'): Promise<Application> {
      return boot({
        imports: [
          MessagingModule.forRoot({
            service: 'orders',
            transport: transport(topic, routes),
            reconnect: { initial: 20, max: 200, jitter: 0.2 },
          }),
        ],
      });
    }

    test('what is thrown is retried after its wait, without holding up others, and is a dead letter in the end', async () => {
      const { messaging, get } = await start(`topic-${++topics}`);
      const seen: string[] = [];
      const dead: unknown[] = [];
      await messaging.subscribe(
        { route: 'order.created', prefetch: 1, dlq: true, retry: { attempts: 3, backoff: 500 } },
        async (payload, { attempt }) => {
          seen.push(`${(payload as { id: string }).id} ${attempt}`);
          if ((payload as { id: string }).id === 'bad') throw new Error('not today');
        },
      );
      messaging.events.on('dead-lettered', (letter) => dead.push(letter.reason));
      const publisher = get(Publisher);
      for (const id of ['bad', 'good', 'better']) await publisher.publish('order.created', { id }, { key: 'one' });
      await waitFor(() => dead.length > 0, 'the dead letter');
      expect(seen.slice(0, 3)).toEqual(['bad 1', 'good 1', 'better 1']);
      expect(seen.slice(3)).toEqual(['bad 2', 'bad 3']);
      expect(dead).toEqual(['attempts-exhausted']);
    });

    test('a retry that waits is called when it is due, although the broker was killed meanwhile', async () => {
      const { messaging, get } = await start(`topic-${++topics}`);
      // The first attempt may come twice: the broker is killed before it knows that a copy waits.
      const first = new Map<number, number>();
      await messaging.subscribe({ route: 'slow', retry: { attempts: 2, backoff: 8_000 } }, async (_, { attempt }) => {
        if (!first.has(attempt)) first.set(attempt, Date.now());
        if (attempt === 1) throw new Error('later');
      });
      await get(Publisher).publish('slow', {});
      await waitFor(() => first.has(1), 'the first call');
      await server.restart();
      await waitFor(() => first.has(2), 'the second call', 60_000);
      expect(first.get(2)! - first.get(1)!).toBeGreaterThanOrEqual(8_000);
    });

    test('records of other clients are handled: without headers, with a key of any bytes, a tombstone, a header twice', async () => {
      const topic = `topic-${++topics}`;
      const { messaging } = await start(topic);
      const seen: { route: string; key?: string; body: string; tenant: unknown }[] = [];
      const note = async (body: unknown, { route, key, headers }: MessageContext): Promise<void> =>
        void seen.push({ route, key, body: String(body), tenant: headers.tenant });
      await messaging.subscribe({ name: 'all', route: '#' }, note);
      const producer = plain(server).producer();
      await producer.connect();
      const messages = [
        { value: '"bare"' },
        { key: Buffer.from([0xff, 0]), value: '"bytes"', headers: { 'message-route': 'by.route' } },
        { key: 'k', value: null },
        { value: '"twice"', headers: { tenant: ['blue', 'green'] } },
      ];
      for (const message of messages) await producer.send({ topic, messages: [{ ...message, partition: 0 }] });
      await producer.disconnect();
      await waitFor(() => seen.length >= 3, 'what can be decoded');
      expect(seen).toEqual([
        { route: topic, key: undefined, body: 'bare', tenant: undefined },
        { route: 'by.route', key: 'base64:/wA=', body: 'bytes', tenant: undefined },
        { route: topic, key: undefined, body: 'twice', tenant: ['blue', 'green'] },
      ]);
    });

    test('a topic for each route: patterns find topics that are made later, and miss nothing of them', async () => {
      const topic = `topic-${++topics}`;
      const { messaging, get } = await start(topic, 'topics');
      const seen: string[] = [];
      const note = async (body: unknown, { route }: MessageContext): Promise<void> =>
        void seen.push(`${route} ${String(body)}`);
      await messaging.subscribe({ name: 'pattern', route: 'order.*' }, note);
      await messaging.subscribe(
        { name: 'one', route: 'order.paid' },
        async (body) => void seen.push(`paid: ${String(body)}`),
      );
      const publisher = get(Publisher);
      await publisher.publish('order.paid', 1);
      await publisher.publish('order.a/b', 2);
      await publisher.publish('other.created', 3);
      await withAdmin(server, async (admin) => {
        await admin.createTopics({ topics: [{ topic: `${topic}.route.order.theirs`, numPartitions: 2 }] });
        const ours = (await admin.listTopics()).filter((name) => name.startsWith(`${topic}.route.`)).sort();
        expect(ours).toEqual(['order.a_2Fb', 'order.paid', 'order.theirs', 'other.created'].map((name) => `${topic}.route.${name}`)); // prettier-ignore
      });
      const producer = plain(server).producer();
      await producer.connect();
      await producer.send({ topic: `${topic}.route.order.theirs`, messages: [{ value: '4' }] });
      await producer.disconnect();
      await waitFor(() => seen.length >= 4, 'what the patterns lead from', 60_000);
      expect([...new Set(seen)].sort()).toEqual(['order.a/b 2', 'order.paid 1', 'order.theirs 4', 'paid: 1']);
    });

    test('messages of a key are handled in their order, by two processes of which one comes later and goes again', async () => {
      const topic = `topic-${++topics}`;
      const seen = new Map<string, number[]>();
      const handle = (application: Application): Promise<unknown> =>
        application.messaging.subscribe(
          { route: 'ordered', concurrency: partitioned({ lanes: 4 }), prefetch: 20 },
          async (payload) => {
            const { key, at } = payload as { key: string; at: number };
            await new Promise((resolve) => setImmediate(resolve));
            seen.set(key, [...(seen.get(key) ?? []), at]);
          },
        );
      const first = await start(topic);
      await handle(first);
      const publisher = first.get(Publisher);
      const keys = Array.from({ length: 8 }, (_, at) => `key-${at}`);
      const publish = async (from: number, to: number): Promise<void> => {
        for (let at = from; at < to; at++)
          await Promise.all(keys.map((key) => publisher.publish('ordered', { key, at }, { key })));
      };
      const count = (): number => [...seen.values()].reduce((sum, list) => sum + new Set(list).size, 0);
      await publish(0, 40);
      const second = await start(topic);
      await handle(second);
      await publish(40, 80);
      await second.close();
      await publish(80, 120);
      await waitFor(() => count() === 8 * 120, 'every message', 60_000);
      for (const list of seen.values()) {
        // What was in flight comes again when its partition changes hands, and what follows it once more in its order.
        const firsts = [...new Set(list)];
        expect(firsts).toEqual(Array.from({ length: 120 }, (_, at) => at));
        expect(list.length - firsts.length).toBeLessThan(100);
      }
    });
  },
  { own: true },
);
