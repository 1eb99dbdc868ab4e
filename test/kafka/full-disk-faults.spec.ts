import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, jest, test } from '@jest/globals';
import { kafka } from '../../lib/transports/kafka/kafka.js';
import { describeKafka } from '../brokers/kafka.js';
import type { KafkaServer } from '../brokers/kafka/server.js';
import { SmallDisk } from '../brokers/small-disk.js';
import { closeApplications, event } from '../e2e/support/application.js';
import { Load } from '../fault/load.js';
import { survived } from '../fault/under-load.js';

jest.setTimeout(180_000);

let disk: SmallDisk | undefined;
const onSmallDisk = SmallDisk.canBeMade
  ? describeKafka
  : (): void => test.skip('a disk that is full: only root can make one', () => {});
// After the node is gone.
afterAll(() => disk?.remove());

onSmallDisk(
  'under load, nothing is lost when',
  (broker) => {
    let server: KafkaServer;

    beforeAll(async () => {
      disk = SmallDisk.make(48);
      const sizes = ['log.segment.bytes', 'log.index.size.max.bytes'].map((name) => `${name}=1048576`);
      server = await broker.start({ properties: [`log.dirs=${join(disk!.path, 'data')}`, ...sizes] });
    });
    afterEach(closeApplications);

    test('the disk of the broker is full: it goes down, and comes back where there is room again', async () => {
      const load = await Load.start(
        kafka({ brokers: server.url, topic: 'full', partitions: 3, sessionTimeout: 6_000 }),
        2_000,
        10_000,
      );
      const { inFlight } = await survived(
        load,
        async () => {
          const lost = event(load.messaging, 'disconnected');
          const makeRoom = disk!.fill();
          await lost;
          await server.ended();
          makeRoom();
          await server.restart();
        },
        { each: 300 },
      );
      expect(inFlight).toBeGreaterThan(0);
    });
  },
  { own: true },
);
