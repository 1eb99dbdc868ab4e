import { afterEach, beforeAll, expect, jest, test } from '@jest/globals';
import { DeadLetters, MessagingModule, Publisher } from 'nestjs-messaging';
import type { ConsumerGroup } from 'nestjs-messaging/health';
import { systemClock } from '../../lib/clock/clock.js';
import type { QueueOperations } from '../../lib/transport/queue-operations.js';
import { kafka } from '../../lib/transports/kafka/kafka.js';
import { describeKafka } from '../brokers/kafka.js';
import type { KafkaServer } from '../brokers/kafka/server.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications } from '../e2e/support/application.js';

jest.setTimeout(120_000);

/** What an operator sees of groups. */
describeKafka(
  'groups',
  (broker) => {
    let server: KafkaServer;
    let topics = 0;

    beforeAll(async () => {
      server = await broker.start({ user: { name: 'orders', password: 'planted-secret' } });
    });
    afterEach(closeApplications);

    const start = (topic: string): Promise<Application> =>
      boot({
        imports: [
          MessagingModule.forRoot({
            service: 'orders',
            transport: kafka({
              brokers: `kafka://orders:planted-secret@${server.url}`,
              topic,
              partitions: 4,
              sessionTimeout: 6_000,
            }),
          }),
        ],
      });
    const groupOf = ({ messaging }: Application): ConsumerGroup | undefined => messaging.health().consumers[0].group;

    test('health tells partitions, state and lag of the group of each subscription, from memory', async () => {
      const topic = `health-${++topics}`;
      const [one, two] = [await start(topic), await start(topic)];
      let isHeld = true;
      const held: (() => void)[] = [];
      const handle = (): Promise<void> | undefined =>
        isHeld ? new Promise((resolve) => held.push(resolve)) : undefined;
      for (const { messaging } of [one, two])
        await messaging.subscribe({ name: 'held', route: 'order.#', prefetch: 1, dlq: true }, handle);
      await waitFor(
        () => groupOf(one)?.partitions === 4 && groupOf(two)?.partitions === 4,
        'half of 8 partitions each',
      );
      const publisher = one.get(Publisher);
      for (let at = 0; at < 12; at++) await publisher.publish('order.created', { at });
      await waitFor(() => groupOf(two)?.lag === 12, 'the lag of all partitions', 40_000);
      expect(groupOf(two)).toEqual({
        name: `${topic}.queue.orders_3Aheld_3Aqueue`,
        partitions: 4,
        state: 'Stable',
        members: 2,
        lag: 12,
        ageMs: expect.any(Number),
      });
      expect(JSON.stringify(one.messaging.health())).not.toContain('planted-secret');
      isHeld = false;
      held.forEach((release) => release());
      await waitFor(() => groupOf(one)?.lag === 0, 'no lag', 40_000);
      await two.close();
      await waitFor(() => groupOf(one)?.partitions === 8 && groupOf(one)?.members === 1, 'all partitions', 40_000);
    });

    test('dead letters are counted, listed, deleted from the middle and redriven, and a restart does not bring them back', async () => {
      const topic = `letters-${++topics}`;
      const first = await start(topic);
      const handled: unknown[] = [];
      let isBroken = true;
      const handle = async (id: unknown): Promise<void> => {
        if (isBroken) throw new Error('broken');
        handled.push(id);
      };
      const subscription = { name: 'letters', route: 'order.created', dlq: true, retry: { attempts: 1 } } as const;
      await first.messaging.subscribe(subscription, handle);
      const ids = Array.from({ length: 9 }, (_, at) => `m${at}`);
      for (const id of ids) await first.get(Publisher).publish('order.created', id, { id });
      const letters = first.get(DeadLetters);
      await waitFor(async () => (await letters.count()) === ids.length, 'nine dead letters');
      expect((await letters.list()).map(({ id }) => id).sort()).toEqual(ids);
      expect(await letters.delete({ ids: ['m3', 'm7'] })).toMatchObject({ done: 2 });
      expect(await letters.count()).toBe(7);
      await first.close();

      const second = await start(topic);
      isBroken = false;
      await second.messaging.subscribe(subscription, handle);
      const left = second.get(DeadLetters);
      const kept = ids.filter((id) => !['m3', 'm7'].includes(id));
      expect((await left.list()).map(({ id }) => id).sort()).toEqual(kept);
      expect(await left.redrive()).toMatchObject({ done: 7 });
      await waitFor(() => handled.length === 7, 'what was redriven');
      expect([...handled].sort()).toEqual(kept);
      expect([await left.count(), await left.list()]).toEqual([0, []]);
    });

    test('an operator sees the queues of a service by their topics', async () => {
      const topic = `operator-${++topics}`;
      const { messaging, get } = await start(topic);
      await messaging.subscribe({ name: 'seen', route: 'order.created', dlq: true }, async () => {});
      await get(Publisher).publish('order.created', {});
      const transport = kafka({ brokers: `kafka://orders:planted-secret@${server.url}`, topic }).create();
      await transport.connect({
        clock: systemClock,
        service: 'operator',
        random: Math.random,
        reconnect: { initial: 20, max: 200, jitter: 0.2 },
        confirmTimeout: 5_000,
        provision: false,
        onEvent: () => {},
      });
      try {
        const list = (): ReturnType<NonNullable<QueueOperations['list']>> =>
          transport.queues!.list!({ service: 'orders', queues: ['gone'] });
        await waitFor(async () => (await list())?.queues.at(-1)?.ready === 0, 'what is handled');
        expect(await list()).toEqual({
          queues: [
            { name: 'orders:seen:dlq', ready: 0, consumers: 0, routes: [] },
            { name: 'orders:seen:queue', ready: 0, consumers: 1, routes: [], deadLetterQueue: 'orders:seen:dlq' },
          ],
          missing: ['gone'],
          waiting: [{ name: `${topic}.delay`, ready: 0 }],
        });
        expect(await transport.queues!.list!({ service: 'nobody' })).toBeUndefined();
      } finally {
        await transport.close();
      }
    });
  },
  { own: true },
);
