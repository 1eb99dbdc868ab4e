import { afterAll, afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { MessagingModule, Publisher, type TransportFactory } from 'nestjs-messaging';
import { kafka } from '../../lib/transports/kafka/kafka.js';
import { freePorts } from '../brokers/free-ports.js';
import { describeKafka } from '../brokers/kafka.js';
import type { KafkaServer } from '../brokers/kafka/server.js';
import { Proxy } from '../brokers/proxy.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications, event } from '../e2e/support/application.js';
import { Load } from '../fault/load.js';
import { loseAnswers, survived } from '../fault/under-load.js';
import { withAdmin, withProducer } from './admin.js';

jest.setTimeout(180_000);

/** Each fault in the middle of publishing and handling: nothing is lost, and what comes twice was under way. */
describeKafka(
  'under load, nothing is lost when',
  (broker) => {
    let server: KafkaServer;
    let proxy: Proxy;
    let topics = 0;

    beforeEach(async () => {
      if (server) return;
      const [port] = await freePorts(1);
      proxy = await Proxy.start(port);
      server = await broker.start({ port, advertised: `127.0.0.1:${proxy.port}` });
    });

    afterEach(closeApplications);
    afterAll(() => proxy?.close());

    const transport = (topic = `load-${++topics}`, sessionTimeout = 6_000): TransportFactory =>
      kafka({ brokers: `127.0.0.1:${proxy.port}`, topic, partitions: 3, sessionTimeout });

    /** `times`: how often the fault comes, each with the same amount in flight at most. */
    async function check(load: Load, fault: () => Promise<void>, times = 1, told = false): Promise<void> {
      const { inFlight } = await survived(load, fault, { times, each: 300, told });
      expect(inFlight).toBeGreaterThan(0);
    }

    test('the broker is killed and started again', async () => {
      const load = await Load.start(transport(), 2_000, 10_000);
      const lost = event(load.messaging, 'disconnected');
      await check(load, () => server.restart());
      await lost;
    });

    test('every connection is cut, again and again', async () => {
      const load = await Load.start(transport(), 2_000);
      await check(load, async () => expect(proxy.reset()).toBeGreaterThan(0), 5, true);
    });

    test('the broker hangs for longer than a confirm is waited for', async () => {
      const load = await Load.start(transport(), 2_000);
      await check(load, async () => {
        const lost = event(load.messaging, 'disconnected');
        await server.suspend();
        await lost;
        server.resume();
      });
    });

    test('connections are half open: nothing goes either way, and nobody is told', async () => {
      const load = await Load.start(transport(), 2_000);
      await check(load, async () => {
        const lost = event(load.messaging, 'disconnected');
        proxy.stall();
        await lost;
        proxy.resume();
      });
    });

    test('answers are lost', async () => {
      const load = await Load.start(transport(), 2_000);
      await check(load, () => loseAnswers(load, proxy));
    });

    test('partitions are added while the application runs: they are written to, and read', async () => {
      const topic = `load-${++topics}`;
      const load = await Load.start(transport(topic), 2_000);
      await withAdmin(server, async (admin) => {
        await check(load, async () => {
          await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] });
          // A broker that has not heard of them yet tells of the old ones.
          const used = async (): Promise<boolean> =>
            (await admin.fetchTopicOffsets(topic)).filter(({ high }) => Number(high) > 0).length === 5;
          await waitFor(used, 'records in every partition');
        });
        const groupId = `${topic}.queue.load_3Aloaded_3Aqueue`;
        // What was handled last is committed a moment later.
        const isPlaced = async (): Promise<boolean> => {
          const [{ partitions }] = await admin.fetchOffsets({ groupId, topics: [topic] });
          return partitions.filter(({ offset }) => Number(offset) > 0).length === 5;
        };
        await waitFor(isPlaced, 'a place in every partition');
      });
    });

    test('a handler blocks the event loop for longer than the session', async () => {
      const load = await Load.start(transport(`load-${++topics}`, 2_000), 2_000);
      const blocked = new Int32Array(new SharedArrayBuffer(4));
      await check(load, async () => void Atomics.wait(blocked, 0, 0, 4_000));
    });

    test('the topic is deleted and made again: what is published from then on is handled', async () => {
      const topic = `load-${++topics}`;
      const load = await Load.start(transport(topic), 2_000);
      await load.more(300);
      await load.rest();
      await withAdmin(server, (admin) => admin.deleteTopics({ topics: [topic] }));
      load.go();
      await load.more(300);
      const result = await load.finish(0, Date.now());
      expect([result.lost, result.unexpected]).toEqual([[], []]);
    });

    test('the topic is deleted, made again and longer than it was while its consumer does not read', async () => {
      const topic = `load-${++topics}`;
      const { messaging } = await boot({
        imports: [MessagingModule.forRoot({ service: 'grown', transport: transport(topic) })],
      });
      const seen = new Set<unknown>();
      await messaging.subscribe({ name: 'grown', route: '#', prefetch: 1 }, async (id, { signal }) => {
        seen.add(id);
        // Whoever learns that the log is another one gives the message up.
        if (id === 'old-9') await new Promise((resolve) => signal.addEventListener('abort', resolve));
      });
      const fill = (age: string, count: number): Promise<void> =>
        withProducer(server.innerUrl, async (producer) => {
          const messages = Array.from({ length: count }, (_, at) => ({ value: `"${age}-${at}"`, partition: 0 }));
          await producer.send({ topic, messages });
        });
      // More than are held in memory: nothing is fetched until the handler has ended.
      await fill('old', 1_000);
      await waitFor(() => seen.size === 10, 'the one that blocks');
      await withAdmin(server, async (admin) => {
        const groupId = `${topic}.queue.grown_3Agrown_3Aqueue`;
        const isPlaced = async (): Promise<boolean> =>
          (await admin.fetchOffsets({ groupId, topics: [topic] }))[0].partitions.some(({ offset }) => offset === '9');
        await waitFor(isPlaced, 'the place');
        await admin.deleteTopics({ topics: [topic] });
        const isGone = async (): Promise<boolean> => !(await admin.listTopics()).includes(topic);
        await waitFor(isGone, 'no topic');
        await admin.createTopics({ topics: [{ topic, numPartitions: 3 }], waitForLeaders: true });
      });
      await fill('new', 1_500);
      const missing = (): number => Array.from({ length: 1_500 }, (_, at) => seen.has(`new-${at}`)).filter((one) => !one).length; // prettier-ignore
      await waitFor(() => missing() === 0, 'all of the new topic', 60_000);
    });

    test('processes of the service come and go without a pause', async () => {
      const topic = `load-${++topics}`;
      const load = await Load.start(transport(topic), 2_000);
      const others: Application[] = [];
      await check(
        load,
        async () => {
          others.push(await load.join(transport(topic)));
          await load.more(100);
          if (others.length > 1) await others.shift()!.close();
        },
        process.env.LONG_RUNS ? 8 : 3,
      );
    });

    const long = process.env.LONG_RUNS ? test : test.skip;
    long('10,000 delayed messages wait while the broker is killed and started again', async () => {
      const { messaging, get } = await boot({
        imports: [
          MessagingModule.forRoot({
            service: 'delays',
            transport: transport(),
            reconnect: { initial: 20, max: 200, jitter: 0.2 },
          }),
        ],
      });
      const came = new Map<string, number>();
      let early = 0;
      await messaging.subscribe({ route: 'later', prefetch: 200 }, async (due, { id }) => {
        if (Date.now() < Number(due)) early++;
        came.set(id, (came.get(id) ?? 0) + 1);
      });
      const publisher = get(Publisher);
      for (let sent = 0; sent < 10_000; sent += 500)
        await Promise.all(
          Array.from({ length: 500 }, (_, at) => {
            const delay = 20_000 + ((sent + at) % 1_000) * 20;
            return publisher.publish('later', Date.now() + delay, { id: `m${sent + at}`, delay });
          }),
        );
      await server.restart();
      await waitFor(() => came.size === 10_000, 'all that was delayed', 120_000);
      expect(early).toBe(0);
      // What was being sent on when the broker died may be written twice.
      expect([...came.values()].reduce((sum, count) => sum + count, 0)).toBeLessThan(12_000);
    });
  },
  { own: true },
);
