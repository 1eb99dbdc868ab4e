import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { kafka } from '../../lib/transports/kafka/kafka.js';
import { freePorts } from '../brokers/free-ports.js';
import { describeKafka } from '../brokers/kafka.js';
import type { KafkaServer } from '../brokers/kafka/server.js';
import { waitFor } from '../brokers/wait-for.js';
import { closeApplications } from '../e2e/support/application.js';
import { Load } from '../fault/load.js';
import { survived } from '../fault/under-load.js';
import { withAdmin } from './admin.js';

jest.setTimeout(300_000);

/** Three nodes of 350 MB: with LONG_RUNS=1. */
const long = process.env.LONG_RUNS ? describeKafka : (): void => test.skip('three nodes: LONG_RUNS=1', () => {});
long(
  'three nodes',
  (broker) => {
    let nodes: KafkaServer[];

    beforeAll(async () => {
      const controllers = await freePorts(3);
      const properties = ['min.insync.replicas=2', 'controller.quorum.election.timeout.ms=1000'];
      nodes = await Promise.all([1, 2, 3].map((id) => broker.start({ member: { id, controllers }, properties })));
    });
    afterAll(closeApplications);

    test('nothing is lost when the coordinator of the group is killed three times, and leads some of the partitions', async () => {
      const topic = 'cluster';
      const load = await Load.start(
        kafka({ brokers: nodes.map(({ url }) => url), topic, partitions: 3, replicas: 3, sessionTimeout: 6_000 }),
        2_000,
        10_000,
      );
      let killed = 0;
      const inSync = async (): Promise<boolean> =>
        withAdmin(nodes[(killed + 1) % 3], async (admin) => {
          const { topics } = await admin.fetchTopicMetadata({ topics: [topic, '__consumer_offsets'] });
          return topics.every(({ partitions }) => partitions.every(({ isr }) => isr.length === 3));
        });
      const led = new Set<number>();
      const { inFlight } = await survived(
        load,
        async () => {
          const { coordinator, leaders } = await withAdmin(nodes[0], async (admin) => {
            const { topics } = await admin.fetchTopicMetadata({ topics: [topic, '__consumer_offsets'] });
            const of = (name: string): number[] =>
              topics.find((one) => one.name === name)!.partitions.map(({ leader }) => leader);
            return { coordinator: of('__consumer_offsets')[0], leaders: of(topic) };
          });
          killed = coordinator - 1;
          [coordinator, ...leaders].forEach((id) => led.add(id));
          await nodes[killed].restart();
          await waitFor(inSync, 'all replicas in sync', 90_000);
        },
        { times: 3, each: 300 },
      );
      expect(inFlight).toBeGreaterThan(0);
      expect(led.size).toBeGreaterThan(1);
    });
  },
  { own: true },
);
