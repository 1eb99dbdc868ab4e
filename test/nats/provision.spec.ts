import { afterEach, expect, test } from '@jest/globals';
import { DeadLetters, fixed, MessagingModule, Publisher, type RetryOptions } from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { describeNatsNode } from '../brokers/nats.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications, event, Seen } from '../e2e/support/application.js';
import { closePlain, managerOf } from './plain.js';

const QUEUE = 'shop:order.created:queue';
const REMEDY = /the stream «events-delayed» does not exist.*«workqueue».*«_events-delayed».*«provision»/s;

afterEach(async () => {
  await closeApplications();
  await closePlain();
});

describeNatsNode('with provision: false on NATS', (server) => {
  async function start(
    servers: string,
    provision: boolean,
    retry: RetryOptions,
  ): Promise<Application & { calls: Seen<number> }> {
    const application = await boot({
      imports: [
        MessagingModule.forRoot({
          service: 'shop',
          transport: nats({ servers, syncAlways: true }),
          provision,
          reconnect: { initial: 20, max: 100, jitter: 0 },
        }),
      ],
    });
    const calls = new Seen<number>();
    await application.messaging.subscribe({ route: 'order.created', retry }, (_, { attempt }) => {
      calls.add(attempt);
      throw new Error('no');
    });
    return { ...application, calls };
  }

  /** Everything is there but where delayed copies wait. */
  async function withoutDelayed(): Promise<string> {
    const { url } = await server.start();
    await (await start(url, true, { backoff: fixed(10) })).close();
    await (await managerOf(url)).streams.delete('events-delayed');
    return url;
  }

  test('the stream that retries wait in is looked for at boot, and what is missing is told with the remedy', async () => {
    const url = await withoutDelayed();
    const retry = { attempts: 3, backoff: fixed(50) };
    await expect(start(url, false, retry)).rejects.toMatchObject({
      code: 'TOPOLOGY_MISMATCH',
      message: expect.stringMatching(new RegExp(`«${QUEUE}» have nowhere to wait: ${REMEDY.source}`, 's')),
    });
    // So is who sends on what is due; nothing of it is made.
    const { streams, consumers } = await managerOf(url);
    await streams.add({ name: 'events-delayed', retention: 'workqueue', subjects: ['_events-delayed'] });
    await expect(start(url, false, retry)).rejects.toMatchObject({
      code: 'TOPOLOGY_MISMATCH',
      message: expect.stringMatching(/the consumer «forwarder» of the stream «events-delayed» does not exist/),
    });
    await expect(consumers.info('events-delayed', 'forwarder')).rejects.toThrow(/not found/);
  });

  test('a subscription that never waits needs none of it', async () => {
    const url = await withoutDelayed();
    const { messaging, get, calls } = await start(url, false, { attempts: 2, backoff: fixed(0) });
    const dead = event(messaging, 'dead-lettered');
    await get(Publisher).publish('order.created', {});
    await dead;
    expect(calls.all).toEqual([1, 2]);
  });

  test('a wait that only a function knows is called no more often than its attempts; log and health say what is missing', async () => {
    const url = await withoutDelayed();
    const { messaging, get, calls, log } = await start(url, false, { attempts: 3, backoff: () => 50 });
    const warned = new RegExp(`warn .*${REMEDY.source}`, 's');
    await waitFor(() => warned.test(log.lines.join('\n')), 'a warning');
    const dead = event(messaging, 'dead-lettered');
    await get(Publisher).publish('order.created', {}, { id: 'one' });
    await calls.until(2);
    expect(messaging.health()).toMatchObject({
      status: 'degraded',
      consumers: [{ queue: QUEUE, state: 'consuming', reason: expect.stringMatching(REMEDY) }],
    });
    expect((await dead).reason).toBe('attempts-exhausted');
    expect(new Set(calls.all)).toEqual(new Set([1, 2, 3]));
    await waitFor(async () => (await get(DeadLetters).count()) === 1);
    expect(log.lines.join('\n')).toMatch(new RegExp(`message one could not be written.*${REMEDY.source}`, 's'));
  });

  test('a delayed publish waits until the stream is there; log and health say what is missing', async () => {
    const url = await withoutDelayed();
    const { messaging, get, calls, log } = await start(url, false, { attempts: 1 });
    const { outcome, settled } = await get(Publisher).publish('order.created', {}, { delay: 50 });
    expect(outcome).toBe('queued');
    await waitFor(() => messaging.health().retryQueue.nacked !== undefined, 'health to tell it');
    expect(messaging.health()).toMatchObject({
      status: 'degraded',
      retryQueue: { nacked: [{ to: 'order.created', reason: expect.stringMatching(REMEDY) }] },
    });
    expect(log.lines.join('\n')).toMatch(new RegExp(`warn .*«order.created».*${REMEDY.source}`, 's'));
    await (await start(url, true, { backoff: fixed(10) })).close();
    expect(await settled).toMatchObject({ outcome: 'confirmed' });
    await calls.until(1);
  });
});
