import { afterEach, beforeAll, expect, jest, test } from '@jest/globals';
import { MessagingModule, Publisher } from 'nestjs-messaging';
import type { ConsumerGroup } from 'nestjs-messaging/health';
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
  },
  { own: true },
);
