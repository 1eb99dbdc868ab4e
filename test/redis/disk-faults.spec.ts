import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { redis as transport } from 'nestjs-messaging/redis';
import { describeRedisNode } from '../brokers/redis.js';
import type { RedisServer } from '../brokers/redis/server.js';
import { SmallDisk } from '../brokers/small-disk.js';
import { waitFor } from '../brokers/wait-for.js';
import { closeApplications, event } from '../e2e/support/application.js';
import { Load } from '../fault/load.js';
import { survived } from '../fault/under-load.js';

const onSmallDisk = SmallDisk.canBeMade
  ? describeRedisNode
  : (): void => test.skip('a disk that is full: only root can make one', () => {});

onSmallDisk('under load, nothing is lost when the disk of the server is full', (redis) => {
  let disk: SmallDisk | undefined;
  let server: RedisServer | undefined;

  afterEach(async () => {
    await closeApplications();
    await server?.stop();
    disk?.remove();
    disk = server = undefined;
  });

  async function start(appendfsync: string): Promise<{ load: Load; disk: SmallDisk; server: RedisServer }> {
    disk = SmallDisk.make(32)!;
    server = await redis.start({ directory: join(disk.path, 'data'), settings: { appendfsync } });
    const load = await Load.start(transport({ url: server.url, lease: 2_000, pollInterval: 200 }), 2_000);
    return { load, disk, server };
  }

  test('and it takes nothing until there is room (appendfsync everysec)', async () => {
    const { load, disk, server } = await start('everysec');
    await survived(
      load,
      async () => {
        const makeRoom = disk.fill();
        const refused = (): boolean => load.application.log.lines.some((line) => /MISCONF/.test(line));
        await waitFor(refused, 'a line about it');
        makeRoom();
        await waitFor(async () => (await server.command('set', 'room', 'x').catch(() => '')) === 'OK', 'room');
      },
      { each: 300 },
    );
  });

  test('and it ends, and comes back where there is room (appendfsync always)', async () => {
    const { load, disk, server } = await start('always');
    const { inFlight } = await survived(
      load,
      async () => {
        const lost = event(load.messaging, 'disconnected');
        const makeRoom = disk.fill();
        await lost;
        await server.ended();
        makeRoom();
        await server.restart();
      },
      { each: 300 },
    );
    expect(inFlight).toBeGreaterThan(0);
  });
});
