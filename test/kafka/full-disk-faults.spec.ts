import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, jest, test } from '@jest/globals';
import { kafka } from '../../lib/transports/kafka/kafka.js';
import { describeKafka } from '../brokers/kafka.js';
import type { KafkaServer } from '../brokers/kafka/server.js';
import { closeApplications, event } from '../e2e/support/application.js';
import { Load } from '../fault/load.js';
import { survived } from '../fault/under-load.js';

jest.setTimeout(180_000);

/** A disk of 48 MB, in memory. Only root can make one: undefined for others. */
class SmallDisk {
  private constructor(readonly path: string) {}

  static make(): SmallDisk | undefined {
    const path = mkdtempSync(join(tmpdir(), 'small-disk-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m,mode=700', 'small-disk', path], { stdio: 'ignore' });
      return new SmallDisk(path);
    } catch {
      rmSync(path, { recursive: true });
      return undefined;
    }
  }

  /** Until nothing more can be written; gives how to have room again. */
  fill(): () => void {
    const ballast = join(this.path, 'ballast');
    for (let size = 2 ** 20; size >= 2 ** 10; size /= 2)
      for (;;)
        try {
          writeFileSync(ballast, Buffer.alloc(size), { flag: 'a' });
        } catch {
          break;
        }
    return () => rmSync(ballast);
  }

  remove(): void {
    execFileSync('umount', [this.path]);
    rmSync(this.path, { recursive: true });
  }
}

function canMakeOne(): boolean {
  const tried = process.getuid?.() === 0 ? SmallDisk.make() : undefined;
  tried?.remove();
  return tried !== undefined;
}

let disk: SmallDisk | undefined;
const onSmallDisk = canMakeOne()
  ? describeKafka
  : (): void => test.skip('a disk that is full: only root can make one', () => {});
// After the node is gone.
afterAll(() => disk?.remove());

onSmallDisk(
  'under load, nothing is lost when',
  (broker) => {
    let server: KafkaServer;

    beforeAll(async () => {
      disk = SmallDisk.make();
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
