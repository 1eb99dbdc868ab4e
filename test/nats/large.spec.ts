import { afterEach, expect, test } from '@jest/globals';
import { DeadLetters, fixed, MessagingModule, Publisher, type Messaging } from 'nestjs-messaging';
import { nats } from 'nestjs-messaging/nats';
import { describeNatsNode } from '../brokers/nats.js';
import { waitFor } from '../brokers/wait-for.js';
import { boot, closeApplications, event } from '../e2e/support/application.js';
import { closePlain, connectPlain } from './plain.js';
import { jetstream } from '@nats-io/jetstream';

const MAX_PAYLOAD = 2 ** 20;

/** Retries and dead letters carry more than what they are copies of, and the server bounds both together. */
describeNatsNode('a message nearly as large as the server takes', (nodes) => {
  afterEach(async () => {
    await closeApplications();
    await closePlain();
  });

  async function start(): Promise<{
    url: string;
    messaging: Messaging;
    publisher: Publisher;
    letters: DeadLetters;
    calls: number[];
  }> {
    const { url } = await nodes.start();
    const { messaging, get } = await boot({
      imports: [
        MessagingModule.forRoot({
          service: 'shop',
          transport: nats({ servers: url, syncAlways: true }),
          retry: { attempts: 3, backoff: fixed(0) },
        }),
      ],
    });
    const calls: number[] = [];
    await messaging.subscribe({ route: 'big' }, (_: unknown, { attempt }) => {
      calls.push(attempt);
      const error = new Error('E'.repeat(900));
      error.stack = 'at line\n'.repeat(900);
      throw error;
    });
    return { url, messaging, publisher: get(Publisher), letters: get(DeadLetters), calls };
  }

  test('of our own becomes a dead letter with its reason, at the limit that publish names', async () => {
    const { messaging, publisher, letters, calls } = await start();
    const body = Buffer.alloc(1_000_000, 120);
    const send = (bytes: number): Promise<unknown> =>
      publisher.publish('big', body, { headers: { token: 'x'.repeat(bytes) } });
    const refusal = await send(44_400).then(
      () => undefined,
      (error: Error) => error,
    );
    const [, has, takes, room] = /has (\d+) bytes .* takes (\d+) .* less (\d+)/.exec(refusal!.message)!.map(Number);
    expect(refusal).toMatchObject({ code: 'MESSAGE_TOO_LARGE' });
    const dead = event(messaging, 'dead-lettered');
    const most = 44_400 - (has - (takes - room));
    await send(most);
    await dead;
    await expect(send(most + 1)).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' });
    expect(calls).toEqual([1, 2, 3]);
    const [letter] = await letters.list({}, { limit: 2 });
    expect(letter).toMatchObject({ reason: 'attempts-exhausted', attempts: 3, origin: { queue: 'shop:big:queue' } });
    expect(letter.error.message).toMatch(/^E{64,}$/);
    expect(letter.body.equals(body)).toBe(true);
    expect(letter.headers.token).toHaveLength(most);
  });

  test.each([300, 100, 60, 0])(
    'of another client, with %i bytes free, is a dead letter with all it had, and can be redriven or stays one',
    async (free) => {
      const { url, messaging, letters, calls } = await start();
      const dead = event(messaging, 'dead-lettered');
      const body = Buffer.from(`"${'x'.repeat(MAX_PAYLOAD - free - 2)}"`);
      await jetstream(await connectPlain(url)).publish('events.big', body);
      await dead;
      expect(calls).toEqual([1, 2, 3].slice(0, calls.length));
      expect(calls.length).toBeGreaterThan(0);
      await waitFor(async () => (await letters.count()) === 1);
      const [letter] = await letters.list({}, { limit: 2 });
      expect(letter.body.equals(body)).toBe(true);
      expect(letter).toMatchObject({ route: 'big', origin: { queue: 'shop:big:queue' } });
      const before = calls.length;
      const again = event(messaging, 'dead-lettered');
      const { done } = await letters.redrive({});
      if (done === 1) {
        await again;
        expect(calls.length).toBeGreaterThan(before);
      }
      await waitFor(async () => (await letters.count()) === 1);
    },
  );
});
