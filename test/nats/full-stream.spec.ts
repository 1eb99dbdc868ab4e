import { afterEach, expect, test } from '@jest/globals';
import { fixed, MessagingModule, Publisher } from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { ManualClock } from '../../lib/clock/manual-clock.js';
import { describeNatsNode } from '../brokers/nats.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications, event, Seen } from '../e2e/support/application.js';
import { closePlain, managerOf } from './plain.js';

const INTERVAL_MS = 100;
const ROUTE = 'order.created';
const BODY = 'x'.repeat(1_000);

let letGo = (): void => {};

afterEach(async () => {
  letGo();
  await closeApplications();
  await closePlain();
});

describeNatsNode('a stream that is full and takes nothing new', (server) => {
  const silent = {
    start: () => Promise.resolve(),
    publish: () => undefined,
    resend: () => undefined,
    consumer: () => undefined,
    close: () => {},
  };

  interface Publishing extends Application {
    readonly clock: ManualClock;
    /** How often the server declined a message. */
    declined(): number;
  }

  async function publishing(servers: string): Promise<Publishing> {
    const clock = new ManualClock();
    let declined = 0;
    const sent = (_: unknown, error: unknown): void => void (declined += error === undefined ? 0 : 1);
    const app = await boot({
      imports: [
        MessagingModule.forRoot({
          service: 'web',
          transport: nats({ servers, syncAlways: true }),
          retryQueue: { interval: INTERVAL_MS },
          telemetry: { create: () => ({ ...silent, sent }) },
          clock,
        }),
      ],
    });
    return { ...app, clock, declined: () => declined };
  }

  const handling = (servers: string): Promise<Application> =>
    boot({ imports: [MessagingModule.forRoot({ service: 'shop', transport: nats({ servers, syncAlways: true }) })] });

  test.each([
    ['by number', { max_msgs: 3 }],
    ['by size', { max_bytes: 4_096 }],
  ])('%s: each message is sent after waits that double, health says so, and all are handled once', async (_, limit) => {
    const { url } = await server.start();
    const { messaging } = await handling(url);
    const handled = new Seen<string>();
    const opened = new Promise<void>((resolve) => (letGo = resolve));
    await messaging.subscribe({ route: ROUTE }, async (_: unknown, { id }) => {
      await opened;
      handled.add(id);
    });
    await (await managerOf(url)).streams.update('events', { ...limit, discard: 'new' });
    const app = await publishing(url);
    const publish = (id: string) => app.get(Publisher).publish(ROUTE, BODY, { id });
    const ids: string[] = [];
    const receipts = [];
    for (let queued = 0; queued < 2;) {
      ids.push(`m${ids.length}`);
      const receipt = await publish(ids.at(-1)!);
      receipts.push(receipt);
      queued += Number(receipt.outcome === 'queued');
    }
    expect(receipts.length).toBeGreaterThan(3);
    const first = app.declined();
    expect(first).toBe(2);
    let sends = 1;
    for (let step = 1; step < 2 ** 4; step++) {
      await app.clock.advance(INTERVAL_MS);
      // Waits of 1, 2, 4 and 8 intervals end after 1, 3, 7 and 15.
      if (step !== 2 ** sends - 1) continue;
      sends++;
      await waitFor(() => app.declined() >= 2 * sends, `refusal ${sends} of each`);
    }
    expect(app.declined()).toBe(2 * sends);
    expect(app.messaging.health()).toMatchObject({
      status: 'degraded',
      retryQueue: {
        depth: 2,
        nacked: [{ to: ROUTE, reason: expect.stringMatching(/maximum (messages|bytes) exceeded/) }],
      },
    });
    expect(app.log.lines.filter((line) => line.startsWith('warn') && line.includes('takes no messages'))).toHaveLength(
      1,
    );

    letGo();
    await handled.until(ids.length - 2);
    await waitFor(async () => {
      await app.clock.advance(INTERVAL_MS);
      return app.messaging.health().retryQueue.depth === 0;
    }, 'the rest to be taken');
    for (const receipt of receipts)
      if (receipt.outcome === 'queued') expect(await receipt.settled).toMatchObject({ outcome: 'confirmed' });
    await handled.until(ids.length);
    expect([...handled.all].sort()).toEqual([...ids].sort());
    expect(app.messaging.health()).toMatchObject({ status: 'up' });
    expect(app.messaging.health().retryQueue.nacked).toBeUndefined();
    const { streams } = await managerOf(url);
    await waitFor(async () => (await streams.info('events')).state.messages === 0, 'an empty stream');
  });

  test('keeps a retry and a dead letter until there is room; health says so, and none is lost', async () => {
    const { url } = await server.start();
    const { messaging, get } = await handling(url);
    const calls = new Seen<number>();
    await messaging.subscribe(
      { route: ROUTE, retry: { attempts: 2, backoff: fixed(0) } },
      (_: unknown, { attempt }) => {
        calls.add(attempt);
        throw new Error('no');
      },
    );
    const { streams } = await managerOf(url);
    await streams.update('events', { max_msgs: 1, discard: 'new' });
    const unwritten = new Seen<string>();
    messaging.events.on('store-error', ({ error }) => unwritten.add(error.message));
    const dead = event(messaging, 'dead-lettered');
    expect((await get(Publisher).publish(ROUTE, {}, { id: 'one' })).outcome).toBe('confirmed');
    await unwritten.until(2);
    expect(messaging.health()).toMatchObject({
      status: 'degraded',
      consumers: [{ reason: expect.stringMatching(/could not be written.*maximum messages exceeded/) }],
    });
    // A full stream is no reason to spend attempts.
    expect(new Set(calls.all)).toEqual(new Set([1]));
    await streams.update('events', { max_msgs: 2, discard: 'new' });
    expect((await dead).attempt).toBe(2);
    await waitFor(async () => (await messaging.deadLetters.list({}, { limit: 2 })).length === 1, 'the dead letter');
    await waitFor(() => messaging.health().status === 'up', 'health to be up');
    expect((await streams.info('events')).state.messages).toBe(1);
  });
});
