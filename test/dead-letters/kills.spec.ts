import { afterEach, expect, test } from '@jest/globals';
import { waitFor } from '../brokers/wait-for.js';
import { Cli } from '../requeue/support/process.js';
import { seeded } from '../unit/support/application.js';
import { bodyOf, BrokerClient, DLQ, ids } from './support/broker-client.js';
import { describeBoth } from './support/describe-both.js';

/** A quick look by default; `KILLS=40 npm test -- test/dead-letters/kills` is the whole of it. */
const KILLS = Number(process.env.KILLS ?? 2);
const LETTERS = KILLS * 300;
/** Of one that is killed: a batch, and acks or deletions that are on their way. */
const MOST_TWICE = 50;

describeBoth('a redrive that is killed', (fresh) => {
  let client: BrokerClient | undefined;

  afterEach(() => client?.close());

  test(
    `${KILLS} times by SIGKILL loses none of ${LETTERS} dead letters, sends few twice, and goes on`,
    async () => {
      const { factory, env } = await fresh();
      const broker = (client = await BrokerClient.connect(factory));
      const all = ids(LETTERS);
      await broker.fill(all);
      await broker.consume();
      const random = seeded(20);
      const redrive = (): Cli => new Cli(['dead-letters', 'redrive', '--queue', DLQ], env);

      let killed = 0;
      // What a killed reader held may come back to the queue only after the next one has looked.
      while (killed < KILLS || (await broker.transport.queues!.depth(DLQ)) !== 0) {
        const running = redrive();
        if (killed < KILLS) {
          // Somewhere in a batch, or between two: as soon as so many have arrived.
          const enough = broker.received.length + 1 + Math.floor(random() * 250);
          await Promise.race([running.ended, waitFor(() => broker.received.length >= enough, 'copies', 60_000)]);
          await running.kill();
        }
        const { code, signal, stderr } = await running.ended;
        expect({ code, signal, stderr }).toEqual({ code: signal ? null : 0, signal, stderr: '' });
        if (signal) killed++;
      }
      await broker.untilDepth(0);
      await waitFor(() => new Set(broker.receivedIds).size === LETTERS, 'all of them', 30_000);

      const duplicates = broker.received.length - LETTERS;
      console.log(`${killed} kills: ${LETTERS} dead letters, 0 lost, ${duplicates} sent twice`);
      expect(killed).toBe(KILLS);
      expect(new Set(broker.receivedIds)).toEqual(new Set(all));
      expect(duplicates).toBeLessThanOrEqual(killed * MOST_TWICE);
      for (const { id, body, headers } of broker.received) {
        expect(body.equals(bodyOf(id))).toBe(true);
        expect(headers).toMatchObject({ tenant: 'ada' });
        expect(headers).not.toHaveProperty('messaging-reason');
      }
    },
    60_000 + KILLS * 10_000,
  );
});
