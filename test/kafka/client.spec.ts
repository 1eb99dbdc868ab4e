import { afterAll, afterEach, beforeAll, expect, jest, test } from '@jest/globals';
import { MessagingModule, Publisher } from 'nestjs-messaging';
import { systemClock } from '../../lib/clock/clock.js';
import type { GroupMember, KafkaLink, MemberHandlers, OutgoingRecord } from '../../lib/transports/kafka/client-port.js';
import { kafka } from '../../lib/transports/kafka/kafka.js';
import { KafkajsClient } from '../../lib/transports/kafka/kafkajs.js';
import { describeKafka } from '../brokers/kafka.js';
import type { KafkaServer } from '../brokers/kafka/server.js';
import { waitFor } from '../brokers/wait-for.js';
import { boot, closeApplications } from '../e2e/support/application.js';

jest.setTimeout(120_000);

const CREATED = { partitions: 2, replicas: 1, config: {} };
const key = (partition: number): string => ['c', 'a'][partition];

/** What the client does to records that were not sent alone, and to what is behind a place. */
describeKafka(
  'the client',
  (broker) => {
    let server: KafkaServer;
    let link: KafkaLink;

    beforeAll(async () => {
      server = await broker.start();
      const config = { brokers: [server.url], requestTimeout: 10_000 };
      link = await new KafkajsClient({ config, clock: systemClock, sessionTimeout: 6_000 }).open(() => {});
    });
    afterEach(closeApplications);
    afterAll(() => link?.end());

    const record = (topic: string, body: Buffer | string, of: string): OutgoingRecord => ({
      topic,
      key: of,
      value: Buffer.from(body),
      headers: {},
    });
    const written = async (topic: string): Promise<number> =>
      (await link.ranges(topic)).reduce((sum, { end }) => sum + end, 0);

    test('what is sent after a request that failed is written, although its sequence numbers were used before', async () => {
      await link.createTopics([{ topic: 'sequence', ...CREATED }]);
      await link.produce([record('sequence', 'first', key(0)), record('sequence', 'first', key(1))]);
      const before = await written('sequence');
      const tooLarge = Buffer.alloc(1_200_000);
      const both = link.produce([record('sequence', 'A', key(0)), record('sequence', tooLarge, key(1))]);
      await expect(both).rejects.toMatchObject({ type: 'MESSAGE_TOO_LARGE' });
      const halfway = await written('sequence');
      await link.produce([record('sequence', 'B', key(0))]);
      await link.produce([record('sequence', 'C', key(0))]);
      expect([before, halfway - before <= 1, (await written('sequence')) - halfway]).toEqual([2, true, 2]);
    });

    test('what is compressed is held against the limits of the topic as it is then', async () => {
      await link.createTopics([{ topic: 'packed', ...CREATED }]);
      const config = { brokers: [server.url], requestTimeout: 10_000 };
      const settings = { config, clock: systemClock, sessionTimeout: 6_000, compression: 'gzip' } as const;
      const packing = await new KafkajsClient(settings).open(() => {});
      await packing.produce([record('packed', Buffer.alloc(1_200_000), key(0))]);
      await packing.end();
      expect(await written('packed')).toBe(1);
    });

    test('what is cut off is gone, and what is behind it stays', async () => {
      await link.createTopics([{ topic: 'cut', ...CREATED, partitions: 1 }]);
      for (const body of ['a', 'b', 'c']) await link.produce([record('cut', body, 'k')]);
      await link.truncate([{ topic: 'cut', partition: 0, offset: 2 }]);
      const bodies: string[] = [];
      const handlers: MemberHandlers = {
        assigned: () => {},
        records: (_, records) => void bodies.push(...records.map(({ value }) => String(value))),
        ended: () => {},
      };
      let member: GroupMember | undefined;
      // A new cluster has nobody yet who knows of groups.
      const join = (): Promise<GroupMember | undefined> =>
        link.join({ group: 'g', topics: ['cut'], maxBytes: 2 ** 20 }, handlers).catch(() => undefined);
      await waitFor(async () => (member ??= await join()), 'a member');
      await waitFor(() => bodies.length > 0);
      await member!.leave();
      expect(bodies).toEqual(['c']);
    });

    test('a message that the topic does not take is refused alone; what was sent with it and after it arrives', async () => {
      const { messaging, get } = await boot({
        imports: [
          MessagingModule.forRoot({
            service: 'sizes',
            transport: kafka({ brokers: server.url, topic: 'sizes', partitions: 2, maxBytes: 2 ** 21 }),
          }),
        ],
      });
      const seen = new Set<string>();
      await messaging.subscribe({ route: 'sized' }, async (_, { id }) => void seen.add(id));
      const publisher = get(Publisher);
      const ids = Array.from({ length: 20 }, (_, at) => `m${at}`);
      const sent = ids.map((id, at) =>
        publisher.publish('sized', { text: 'x'.repeat(at === 7 ? 1_500_000 : 10) }, { id, key: `k${at}` }).then(
          ({ outcome }) => outcome as string,
          (error: { code: string }) => error.code,
        ),
      );
      const outcomes = await Promise.all(sent);
      expect(outcomes.filter((outcome) => outcome === 'confirmed')).toHaveLength(19);
      expect(outcomes[7]).toBe('MESSAGE_TOO_LARGE');
      await publisher.publish('sized', {}, { id: 'after' });
      await waitFor(() => seen.size === 20, 'all that was confirmed');
      expect([...seen].sort()).toEqual([...ids.filter((id) => id !== 'm7'), 'after'].sort());
    });
  },
  { own: true },
);
