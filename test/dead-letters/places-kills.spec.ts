import { afterAll, afterEach, expect, test } from '@jest/globals';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { loadSqlite } from '../../lib/clients/sqlite.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { Cli } from '../requeue/support/process.js';
import { seeded } from '../unit/support/application.js';
import { bodyOf, BrokerClient, ids } from './support/broker-client.js';
import { Places } from './support/places.js';
import { run } from './support/run.js';

/** A quick look by default; `KILLS=40 npm test -- test/dead-letters/places-kills` is the whole of it. */
const KILLS = Number(process.env.KILLS ?? 1);
const LETTERS = KILLS * 300;
/** Of one that is killed: a batch, and removals that were not yet written. */
const MOST_TWICE = 50;

describeRabbit('a redrive from a place on the disk that is killed', (rabbit) => {
  const places = new Places();
  let client: BrokerClient | undefined;

  afterEach(() => client?.close());
  afterAll(() => places.close());

  /** What a killed one has claimed is claimed until its lease is over: here it is. */
  const endLeases = async (file: string): Promise<void> => {
    const database = (await loadSqlite('a test')).open(file);
    database.exec('PRAGMA busy_timeout = 30000; UPDATE dead_letters SET claimed_until = 0');
    database.close();
  };

  test.each<[string, (ids: string[]) => Promise<string>, (path: string) => Promise<void>]>([
    ['archive', (all) => places.archive(all), endLeases],
    ['retry-queue', (all) => places.retryQueue(all), () => Promise.resolve()],
  ])(
    `--%s: ${KILLS} times by SIGKILL loses none of ${LETTERS} dead letters, sends few twice, and goes on`,
    async (flag, make, afterKill) => {
      const url = await rabbit.freshVhostUrl();
      const broker = (client = await BrokerClient.connect(rabbitmq({ url })));
      const all = ids(LETTERS);
      const path = await make(all);
      await broker.consume();
      const random = seeded(flag.length);

      for (let killed = 0; ;) {
        const running = new Cli(['dead-letters', 'redrive', `--${flag}`, path], { AMQP_URL: url, NATS_URL: '' });
        if (killed < KILLS) {
          // Somewhere in a batch, or between two: as soon as so many have arrived.
          const enough = broker.received.length + 1 + Math.floor(random() * 250);
          await Promise.race([running.ended, waitFor(() => broker.received.length >= enough, 'copies', 60_000)]);
          await running.kill();
        }
        const { code, signal, stderr } = await running.ended;
        expect({ code, stderr }).toEqual({ code: signal ? null : 0, stderr: '' });
        if (!signal) break;
        killed++;
        await afterKill(path);
      }
      await waitFor(() => new Set(broker.receivedIds).size === LETTERS, 'all of them', 30_000);

      const duplicates = broker.received.length - LETTERS;
      console.log(`--${flag}: ${KILLS} kills: ${LETTERS} dead letters, 0 lost, ${duplicates} sent twice`);
      expect(new Set(broker.receivedIds)).toEqual(new Set(all));
      expect(duplicates).toBeLessThanOrEqual(KILLS * MOST_TWICE);
      for (const { id, body } of broker.received) expect(body.equals(bodyOf(id))).toBe(true);
      const left = await run({}, 'list', `--${flag}`, path, '--json');
      expect(left).toMatchObject({ code: 0, stdout: '[]\n' });
      if (flag === 'retry-queue') expect((await places.found(path)).waiting).toEqual(['waiting']);
    },
    60_000 + KILLS * 10_000,
  );
});
