import { afterEach, describe, expect, test } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { guide } from '../../sample/05-ordering/guide.js';
import { LedgerModule } from '../../sample/05-ordering/ledger.module.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { curl, curlLines } from './support/curl.js';
import { serve } from './support/serve.js';

interface Ledger {
  readonly booked: Readonly<Record<string, number[]>>;
  readonly failed: number;
  readonly consumers: readonly { readonly queue: string; readonly state: string }[];
}

describe('sample 05, a ledger in order', () => {
  const running: INestApplication[] = [];

  afterEach(async () => {
    await Promise.all(running.splice(0).map((app) => app.close()));
  });

  /** A process of the sample, as its guide shows it. */
  async function start(url: string | undefined): Promise<{ make: string; ledger: () => Promise<Ledger> }> {
    const app = await serve(LedgerModule, { AMQP_URL: url });
    running.push(app);
    const [make, accounts] = curlLines(guide(await app.getUrl()));
    return { make, ledger: async () => (await curl(accounts)).body as Ledger };
  }

  const inOrder = Array.from({ length: 20 }, (_, at) => at + 1);
  const count = (...ledgers: Ledger[]): number =>
    ledgers.reduce((sum, { booked }) => sum + Object.values(booked).flat().length, 0);

  test('books every account in order, though an entry of each fails once', async () => {
    const { make, ledger } = await start(undefined);
    expect(await curl(make)).toEqual({ status: 201, body: { made: 80 } });
    await waitFor(async () => count(await ledger()) === 80, 'all entries');
    const { booked, failed } = await ledger();
    expect(booked).toEqual({ ada: inOrder, bob: inOrder, cleo: inOrder, dan: inOrder });
    expect(failed).toBe(4);
    expect((await curl(make.replace('20}', '0}'))).status).toBe(400);
    expect((await curl(make.replace('"ada"', '"a b"'))).status).toBe(400);
  });

  describeRabbit('with several processes', (rabbit) => {
    test('each has half of the partitions, and an account is booked by one of them, in order', async () => {
      const url = await rabbit.freshVhostUrl();
      const [one, other] = [await start(url), await start(url)];
      const partitions = async ({ ledger }: typeof one): Promise<number> =>
        (await ledger()).consumers.filter(({ queue, state }) => /\.\d+$/.test(queue) && state === 'consuming').length;
      await waitFor(async () => (await partitions(one)) === 4 && (await partitions(other)) === 4, 'four each', 30_000);
      const names = Array.from({ length: 16 }, (_, at) => `account${at}`);
      await curl(one.make.replace(/\[.*\]/, JSON.stringify(names)));
      await waitFor(async () => count(await one.ledger(), await other.ledger()) === 320, 'all entries', 30_000);
      const [mine, theirs] = [await one.ledger(), await other.ledger()];
      expect({ ...mine.booked, ...theirs.booked }).toEqual(Object.fromEntries(names.map((name) => [name, inOrder])));
      expect(Object.keys(mine.booked).length + Object.keys(theirs.booked).length).toBe(names.length);
      expect(Math.min(Object.keys(mine.booked).length, Object.keys(theirs.booked).length)).toBeGreaterThan(0);
    }, 90_000);
  });
});
