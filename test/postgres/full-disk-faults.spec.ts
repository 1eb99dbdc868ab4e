import { afterAll, afterEach, expect, jest, test } from '@jest/globals';
import { Client } from 'pg';
import { postgres as transport } from 'nestjs-messaging/postgres';
import { describePostgresNode } from '../brokers/postgres.js';
import { SmallDisk } from '../brokers/small-disk.js';
import { waitFor } from '../brokers/wait-for.js';
import { closeApplications } from '../e2e/support/application.js';
import { Load } from '../fault/load.js';
import { survived } from '../fault/under-load.js';

jest.setTimeout(120_000);

const disks: SmallDisk[] = [];
const onSmallDisk = SmallDisk.canBeMade
  ? describePostgresNode
  : (): void => test.skip('a disk that is full: only root can make one', () => {});

onSmallDisk('under load, nothing is lost when', (postgres) => {
  afterEach(closeApplications);

  test('the disk of the server is full: it is told, and what waits is stored where there is room again', async () => {
    const disk = SmallDisk.make(192)!;
    disks.push(disk);
    const server = await postgres.start({ within: disk.path, conf: ['min_wal_size=32MB', 'max_wal_size=32MB'] });
    const url = await server.createDatabase();
    const load = await Load.start(transport({ url, lease: 2_000, pollInterval: 200 }), 2_000);
    const health = (): string => JSON.stringify(load.messaging.health());
    await survived(
      load,
      async () => {
        // With a transaction open nothing that is handled makes room for what comes.
        const holder = new Client({ connectionString: url });
        holder.on('error', () => undefined);
        await holder.connect();
        await holder.query('begin isolation level repeatable read; select 1');
        const makeRoom = disk.fill();
        await waitFor(() => /No space left on device|"status":"down"/.test(health()), 'that health tells it');
        makeRoom();
        await holder.end().catch(() => undefined);
        // Where the log had no room it has ended.
        await server.query('select 1').catch(() => server.restart());
      },
      { each: 300 },
    );
    await waitFor(() => load.messaging.health().status === 'up', 'that it is well again');
    expect(load.messaging.health().retryQueue.depth).toBe(0);
  });
});

// After the servers are gone.
afterAll(() => disks.forEach((disk) => disk.remove()));
