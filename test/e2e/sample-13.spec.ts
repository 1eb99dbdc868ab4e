import { afterEach, describe, expect, test } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import { Messaging, Publisher } from 'nestjs-messaging';
import { DepotModule } from '../../sample/13-sqs-server/depot.module.js';
import { DepotService } from '../../sample/13-sqs-server/depot.service.js';
import { guide } from '../../sample/13-sqs-server/guide.js';
import { describeSqs } from '../brokers/sqs.js';
import { waitFor } from '../brokers/wait-for.js';
import { FaultyProxy } from '../sqs/faulty-proxy.js';
import { curl, curlLines } from './support/curl.js';
import { serve } from './support/serve.js';

const PARCELS = 20;
/** Of this many parcels, each scanned three times and delivered once. */
const EACH = { scanned: 60, delivered: 20, labels: 60, mails: 20, archived: 20, history: 80 };
type Work = keyof typeof EACH;
const works = Object.keys(EACH) as Work[];

describe('sample 13, a server of queues', () => {
  const running: INestApplication[] = [];
  const proxies: FaultyProxy[] = [];
  afterEach(async () => {
    await Promise.all(running.splice(0).map((app) => app.close()));
    await Promise.all(proxies.splice(0).map((proxy) => proxy.stop()));
  });

  /** `retried`: the attempt that failed, of each retry. */
  async function start(
    url?: string,
  ): Promise<{ app: INestApplication; depot: DepotService; lines: string[]; retried: number[] }> {
    const app = await serve(DepotModule, { SQS_URL: url });
    running.push(app);
    const retried: number[] = [];
    app.get(Messaging).events.on('settled', ({ outcome, attempt }) => outcome === 'retry' && retried.push(attempt));
    return { app, depot: app.get(DepotService), lines: curlLines(guide(await app.getUrl())), retried };
  }

  /** No mail is over before all of them run: with any bound but the prefetch there are none. */
  function holdMails({ mails }: DepotService): void {
    const during = mails.during.bind(mails);
    let release: () => void;
    const together = new Promise<void>((resolve) => (release = resolve));
    mails.during = (name, key, work) =>
      during(name, key, async () => {
        if (mails.running === PARCELS) release();
        await together;
        await work();
      });
  }

  /** How many different ones were done, by one process or several. */
  function done(...depots: DepotService[]): Record<Work, number> {
    const names = (work: Work): string[] => depots.flatMap((depot) => [...depot[work].done.keys()]);
    return Object.fromEntries(works.map((work) => [work, new Set(names(work)).size])) as Record<Work, number>;
  }

  const finished = (...depots: DepotService[]): Promise<void> =>
    waitFor(() => works.every((work) => done(...depots)[work] === EACH[work]), 'all that is to be done', 40_000);

  /** What each kind of concurrency promises, of a process. */
  function expectLimits({ labels, history, mails }: DepotService): void {
    expect(labels.most).toBe(2);
    expect(history.mostOfKey).toBe(1);
    expect(history.most).toBeGreaterThan(1);
    expect(history.most).toBeLessThanOrEqual(4);
    expect(mails.most).toBe(PARCELS);
  }

  test('does the same on the embedded broker, each parcel in order', async () => {
    const { depot, lines, retried } = await start();
    holdMails(depot);
    expect(await curl(lines[0])).toEqual({ status: 201, body: { confirmed: 4 * PARCELS } });
    await finished(depot);
    expectLimits(depot);
    expect(retried).toEqual([1, 1, 1, 1]);
    for (const work of works) expect([...depot[work].done.values()].every((times) => times === 1)).toBe(true);
    const steps = [...depot.history.done.keys()].filter((name) => name.startsWith('P7:'));
    expect(steps).toEqual(['P7:1', 'P7:2', 'P7:3', 'P7:4']);
    expect((await curl(lines[1])).body).toMatchObject({ jammed: 4, labels: { done: 60 }, history: { mostOfKey: 1 } });
    expect((await curl(lines[0].replace('20}', '0}'))).status).toBe(400);
  });

  describeSqs('on', (sqs) => {
    async function emulator(): Promise<FaultyProxy> {
      const proxy = await FaultyProxy.start((await sqs.start()).url, 1);
      proxies.push(proxy);
      return proxy;
    }

    const depthOf = (app: INestApplication, queue: string): Promise<number | undefined> =>
      app.get(Messaging).depth(queue);

    test('routes, limits, gathers and retries: one batch that fails on its way and four handlers that fail lose nothing', async () => {
      const proxy = await emulator();
      const { app, depot, lines, retried } = await start(proxy.url);
      holdMails(depot);
      proxy.next = { request: 'SendMessageBatch', fault: 'entries failed' };
      expect(await curl(lines[0])).toEqual({ status: 201, body: { confirmed: 4 * PARCELS } });
      await app.get(Publisher).sendToQueue('depot:desk:queue', { parcel: 'stray', step: 1 });
      await finished(depot);

      expect(proxy.made).toEqual(new Map([['entries failed', 1]]));
      expect(depot.jammed.size).toBe(4);
      expect(retried).toEqual([1, 1, 1, 1]);
      expectLimits(depot);
      // The stray has no route: neither handler of its queue gets it.
      const letters = (): ReturnType<Messaging['deadLetters']['list']> => app.get(Messaging).deadLetters.list();
      await waitFor(async () => (await letters()).length === 1, 'the stray among the dead letters');
      expect(await letters()).toMatchObject([{ reason: 'no-handler', origin: { queue: 'depot:desk:queue' } }]);
      expect([done(depot).scanned, done(depot).delivered]).toEqual([EACH.scanned, EACH.delivered]);

      await waitFor(async () => (await depthOf(app, 'depot:labels:queue')) === 0, 'an empty queue');
      for (const request of ['SendMessageBatch', 'DeleteMessageBatch']) {
        const sizes = proxy.entries.get(request)!;
        expect({ request, most: Math.max(...sizes) }).toEqual({ request, most: 10 });
      }
    });

    test('ends in order: what runs is finished, what is gathered is sent, and the next process does the rest', async () => {
      const proxy = await emulator();
      const { app, depot, lines } = await start(proxy.url);
      const answer = curl(lines[0]);
      await waitFor(() => depot.labels.running > 0, 'a label that is being printed');
      // Fewer than a batch: they are gathered when the end begins.
      const late = ['late:1', 'late:2', 'late:3'];
      const sent = late.map((name) => {
        const [parcel, step] = name.split(':');
        return app.get(Publisher).publish('mail.sent', { parcel, step: Number(step) });
      });
      running.splice(0);
      await app.close();
      const outcomes = (await Promise.all(sent)).map(({ outcome }) => outcome);
      expect(outcomes).toEqual(late.map(() => 'confirmed'));
      expect((await answer).body).toEqual({ confirmed: 4 * PARCELS });
      const atTheEnd = done(depot);
      expect(works.map((work) => depot[work].running)).toEqual(works.map(() => 0));
      expect(works.some((work) => atTheEnd[work] < EACH[work])).toBe(true);

      const next = await start(proxy.url);
      const archived = (): string[] => [depot, next.depot].flatMap((one) => [...one.archived.done.keys()]);
      await waitFor(() => late.every((name) => archived().includes(name)), 'what was gathered');
      for (const { archived } of [depot, next.depot]) for (const name of late) archived.done.delete(name);
      await finished(depot, next.depot);
      // Done by the first, and deleted before it ended.
      const twice = works.flatMap((work) =>
        [...depot[work].done.keys()].filter((name) => next.depot[work].done.has(name)),
      );
      expect(twice).toEqual([]);
    });
  });
});
