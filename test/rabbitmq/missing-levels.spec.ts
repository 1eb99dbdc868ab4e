import { afterEach, expect, it } from '@jest/globals';
import { DeadLetters, fixed, MessagingModule, Publisher, RetryLaterError, type RetryOptions } from 'nestjs-messaging';
import { rabbitmq } from '../../lib/transports/rabbitmq/rabbitmq.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications, event, Seen } from '../e2e/support/application.js';

afterEach(closeApplications);

const ROUTE = 'order.created';
const QUEUE = `orders:${ROUTE}:queue`;
/** The first of the levels that is looked for: of 64 ms, or of the next lower one where some of the 60 ms are over. */
const REMEDY = /no exchange 'events\.delay\.[56]'.*«provision» true makes them/s;

/** Waits that only a function, an error or a publisher knows cannot be looked for at boot. */
describeRabbit('with provision: false, a wait whose delay levels nobody has made', (rabbit) => {
  interface Started extends Application {
    readonly calls: Seen<number>;
  }

  async function start(
    url: string,
    provision: boolean,
    retry: RetryOptions,
    error = new Error('no'),
  ): Promise<Started> {
    const transport = rabbitmq({ url, exchange: 'events' });
    const app = await boot({ imports: [MessagingModule.forRoot({ service: 'orders', transport, provision })] });
    const calls = new Seen<number>();
    await app.messaging.subscribe({ route: ROUTE, retry }, (_, { attempt }) => {
      calls.add(attempt);
      throw error;
    });
    return { ...app, calls };
  }

  /** Everything is there but the levels of short waits. */
  async function withoutLevels(): Promise<string> {
    const url = await rabbit.freshVhostUrl();
    await (await start(url, true, { backoff: fixed(0) })).close();
    return url;
  }

  it.each([
    ['a function', { attempts: 3, backoff: () => 60 }, undefined],
    ['an error', { attempts: 3, backoff: fixed(0) }, new RetryLaterError(60)],
  ])(
    'of %s, is called no more often than its attempts; log and health say who makes them',
    async (_, retry, error) => {
      const { messaging, get, log, calls } = await start(await withoutLevels(), false, retry, error);
      const dead = event(messaging, 'dead-lettered');
      await get(Publisher).publish(ROUTE, {}, { id: 'one' });
      await calls.until(2);
      expect(messaging.health()).toMatchObject({
        status: 'degraded',
        consumers: [{ queue: QUEUE, state: 'consuming', reason: expect.stringMatching(REMEDY) }],
      });
      expect((await dead).reason).toBe('attempts-exhausted');
      expect(calls.all).toEqual([1, 2, 3]);
      expect(await get(DeadLetters).list({}, { limit: 2 })).toMatchObject([{ id: 'one', attempts: 3 }]);
      expect(log.lines.join('\n')).toMatch(
        new RegExp(`warn .*message one could not be written.*${REMEDY.source}`, 's'),
      );
      await waitFor(() => messaging.health().status === 'up', 'health to be up');
    },
    60_000,
  );

  it('of a publish, keeps the message until they are there; log and health say who makes them', async () => {
    const url = await withoutLevels();
    const { messaging, get, log, calls } = await start(url, false, { attempts: 1 });
    const { outcome, settled } = await get(Publisher).publish(ROUTE, {}, { delay: 60 });
    expect(outcome).toBe('queued');
    await waitFor(() => messaging.health().retryQueue.nacked !== undefined, 'health to tell it');
    expect(messaging.health()).toMatchObject({
      status: 'degraded',
      retryQueue: { nacked: [{ to: ROUTE, reason: expect.stringMatching(REMEDY) }] },
    });
    expect(log.lines.join('\n')).toMatch(new RegExp(`warn .*«${ROUTE}».*${REMEDY.source}`, 's'));
    await (await start(url, true, { backoff: fixed(60) })).close();
    expect(await settled).toMatchObject({ outcome: 'confirmed' });
    await calls.until(1);
  }, 60_000);
});
