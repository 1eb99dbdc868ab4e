import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  type MessageContext,
  MessagingModule,
  partitioned,
  type SubscribeRequest,
  type SubscriptionOptions,
  type TransportFactory,
} from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { type CoordinationStore } from 'nestjs-messaging/stores';
import type { ManualClock } from 'nestjs-messaging/testing';
import { type Application, boot, closeApplications } from './support/application.js';
import { SharedCoordination } from './support/shared-coordination.js';

type LimitOptions = NonNullable<SubscriptionOptions['limit']>;

let shared: SharedCoordination;
let clock: ManualClock;
/** What handlers were called with, and when. */
let calls: { readonly n: number; readonly at: number; readonly attempt: number }[];

beforeEach(() => {
  shared = new SharedCoordination();
  clock = shared.clock;
  calls = [];
});
afterEach(closeApplications);

const start = (own?: CoordinationStore): Promise<Application> => shared.start({}, own && { store: own });

interface Payload {
  readonly n: number;
  readonly key?: string;
}

async function handle(
  { messaging }: Application,
  limit: LimitOptions,
  work: (context: MessageContext) => Promise<void> = async () => undefined,
  more: Partial<SubscribeRequest> = {},
): Promise<void> {
  await messaging.subscribe<Payload>({ route: 'job', limit, ...more }, async ({ n }, context) => {
    calls.push({ n, at: clock.monotonic(), attempt: context.attempt });
    await work(context);
  });
}

async function publish(
  { messaging }: Application,
  count: number,
  key = (n: number): string => `${n % 2}`,
): Promise<void> {
  for (let n = 0; n < count; n++) await messaging.publisher.publish('job', { n }, { headers: { tenant: key(n) } });
}

const tenant = ({ headers }: MessageContext): string => headers.tenant as string;
const wait = (ms: number): Promise<void> => new Promise((resolve) => void clock.after(ms, resolve));

describe('limit', () => {
  test('a rate holds over two processes; every message is handled once, at its first attempt', async () => {
    const [one, two] = [await start(), await start()];
    for (const process of [one, two]) await handle(process, { rate: 4, per: 1_000 });
    await publish(one, 40);
    await clock.advance(15_000);
    expect(calls.map(({ n }) => n).sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, n) => n));
    expect(calls.every(({ attempt }) => attempt === 1)).toBe(true);
    for (let n = 4; n < calls.length; n++) expect(calls[n].at - calls[n - 4].at).toBeGreaterThanOrEqual(1_000);
    expect(calls.at(-1)!.at).toBeLessThan(13_000);
  });

  test('a key that has to wait does not hold up another, though it fills the prefetch', async () => {
    const app = await start();
    await handle(app, { rate: 1, per: 10_000, key: tenant }, undefined, { prefetch: 3 });
    await publish(app, 60, (n) => (n < 50 ? 'busy' : `quiet-${n}`));
    await clock.advance(2_000);
    expect(calls.filter(({ n }) => n >= 50).length).toBe(10);
    await clock.advance(700_000);
    expect(calls.length).toBe(60);
    expect(calls.every(({ attempt }) => attempt === 1)).toBe(true);
  });

  test('without a key the queue behind a message that waits does so at the broker, for up to 30 seconds', async () => {
    const app = await start();
    await handle(app, { rate: 1, per: 60_000 }, undefined, { prefetch: 1 });
    await publish(app, 4);
    const ready = (): number | undefined => shared.broker.queues().find(({ name }) => name === 'shop:job:queue')?.ready;
    await clock.advance(29_000);
    expect([calls.length, ready()]).toEqual([1, 2]);
    await clock.advance(3_000);
    expect(ready()).toBe(1);
    await clock.advance(400_000);
    expect(calls.map(({ n, attempt }) => [n, attempt])).toEqual([0, 1, 2, 3].map((n) => [n, 1]));
  });

  test('a handler that runs on past its timeout has its permit until it ends', async () => {
    const app = await start();
    const more = { timeout: 1_000, retry: { attempts: 2, backoff: () => 1 } };
    await handle(app, { concurrency: 1 }, () => (calls.length === 1 ? wait(40_000) : Promise.resolve()), more);
    await publish(app, 1);
    await clock.advance(39_000);
    expect(calls.length).toBe(1);
    await clock.advance(30_000);
    expect(calls.map(({ attempt }) => attempt)).toEqual([1, 2]);
  });

  test('a message without a key is not limited', async () => {
    const app = await start();
    await handle(app, { rate: 1, per: 60_000, key: () => undefined });
    await publish(app, 10);
    await clock.advance(10);
    expect(calls.length).toBe(10);
  });

  test('a concurrency holds over two processes, for each key', async () => {
    const [one, two] = [await start(), await start()];
    const running = new Map<string, number>();
    let most = 0;
    const work = async (context: MessageContext): Promise<void> => {
      const key = tenant(context);
      running.set(key, (running.get(key) ?? 0) + 1);
      most = Math.max(most, running.get(key)!);
      await wait(3_000);
      running.set(key, running.get(key)! - 1);
    };
    for (const process of [one, two]) await handle(process, { concurrency: 2, key: tenant }, work);
    await publish(one, 20);
    await clock.advance(120_000);
    expect([calls.length, most]).toEqual([20, 2]);
    expect(calls.every(({ attempt }) => attempt === 1)).toBe(true);
  });

  test('a retry waits for its turn as well, and its attempts are its own', async () => {
    const app = await start();
    await handle(
      app,
      { rate: 1, per: 1_000 },
      async ({ attempt }) => {
        if (attempt < 3) throw new Error('again');
      },
      { retry: { attempts: 3, backoff: () => 1 } },
    );
    await publish(app, 2);
    await clock.advance(20_000);
    expect(calls.filter(({ n }) => n === 0).map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    for (let n = 1; n < calls.length; n++) expect(calls[n].at - calls[n - 1].at).toBeGreaterThanOrEqual(1_000);
  });

  test('messages wait while the store is down, with no attempt spent, and go on when it is back', async () => {
    const app = await start();
    await handle(app, { rate: 100, per: 1_000 });
    shared.down = true;
    await publish(app, 3);
    await clock.advance(30_000);
    expect(calls).toEqual([]);
    expect(app.log.lines.filter((line) => line.includes('the limit cannot be asked')).length).toBe(1);
    expect(app.messaging.health()).toMatchObject({
      status: 'degraded',
      coordination: { store: 'shared', reachable: false, reason: 'down' },
    });
    shared.down = false;
    await clock.advance(6_000);
    expect(calls.map(({ attempt }) => attempt)).toEqual([1, 1, 1]);
    expect(app.log.lines.join('\n')).toContain('the limit is kept again');
    expect(app.messaging.health()).toMatchObject({ status: 'up', coordination: { reachable: true } });
  });

  test('a handler whose permit another took while it was not renewed is told once', async () => {
    const app = await start();
    let reason: unknown;
    const work = async ({ signal }: MessageContext): Promise<void> => {
      if (calls.length > 1) return wait(30_000);
      signal.addEventListener('abort', () => (reason = signal.reason));
      await wait(40_000);
    };
    await handle(app, { concurrency: 1 }, work);
    await publish(app, 1);
    await clock.advance(1_000);
    shared.down = true;
    const other = await start(shared.kept);
    await handle(other, { concurrency: 1 }, work);
    await publish(app, 2);
    await clock.advance(12_000);
    expect(calls.length).toBe(1);
    await clock.advance(10_000);
    expect(calls.length).toBe(2);
    shared.down = false;
    await clock.advance(15_000);
    expect(reason).toMatchObject({ code: 'DELIVERY_LOST' });
    const lost = [app, other].flatMap(({ log }) => log.lines.filter((line) => line.includes('was over before')));
    expect(lost.length).toBe(1);
    await clock.advance(120_000);
  });

  test('a handler goes on with its permit after an outage of the store in which nobody took it', async () => {
    const app = await start();
    let aborted = false;
    await handle(app, { concurrency: 1 }, async ({ signal }) => {
      if (calls.length > 1) return;
      signal.addEventListener('abort', () => (aborted = true));
      await wait(60_000);
    });
    await publish(app, 1);
    await clock.advance(1_000);
    shared.down = true;
    await clock.advance(20_000);
    shared.down = false;
    await clock.advance(6_000);
    await publish(app, 1);
    await clock.advance(20_000);
    expect([aborted, calls.length]).toEqual([false, 1]);
    await clock.advance(60_000);
    expect(calls.length).toBe(2);
  });

  test('a permit that is given while the application stops calls nobody, and goes back with its message', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const slow = await start({
      change: async (key, change) => {
        if (key.startsWith('limit:')) await held;
        return shared.kept.change(key, change);
      },
      close: async () => undefined,
    });
    await handle(slow, { concurrency: 1 });
    await publish(slow, 1);
    await clock.advance(10);
    const closing = slow.close();
    await clock.advance(10);
    release();
    await clock.advance(1_000);
    await closing;
    expect(calls).toEqual([]);
    await handle(await start(), { concurrency: 1 });
    await clock.advance(1_000);
    expect(calls.length).toBe(1);
  });

  test('what waits for its turn when the application stops is given back at once, and handled by another', async () => {
    const first = await start();
    await handle(first, { rate: 1, per: 20_000 });
    await publish(first, 3);
    await clock.advance(100);
    expect(calls.length).toBe(1);
    let closed = false;
    const closing = first.close().then(() => (closed = true));
    await clock.advance(1_000);
    expect(closed).toBe(true);
    await closing;
    await handle(await start(), { rate: 1, per: 20_000 });
    await clock.advance(90_000);
    expect(calls.map(({ n }) => n).sort()).toEqual([0, 1, 2]);
    expect(calls.every(({ attempt }) => attempt === 1)).toBe(true);
  });

  test.each<[LimitOptions, Partial<SubscribeRequest>, RegExp]>([
    [{}, {}, /«limit».*\{ rate, per \}/s],
    [{ rate: 5 }, {}, /limit\.per.*together/s],
    [{ per: 5_000 }, {}, /limit\.rate.*together/s],
    [{ rate: 0, per: 1_000 }, {}, /limit\.rate/],
    [{ rate: 1, per: 5 }, {}, /limit\.per/],
    [{ concurrency: 1.5 }, {}, /limit\.concurrency/],
    [{ concurrency: 1, key: 'tenant' as never }, {}, /limit\.key.*a function/s],
    [{ rates: 5 } as never, {}, /rates/],
    [{ concurrency: 1 }, { concurrency: partitioned() }, /onFailure: 'pass'/],
  ])('%j with %j is refused', async (limit, more, expected) => {
    const app = await start();
    await expect(handle(app, limit, undefined, more)).rejects.toThrow(expected);
  });

  test('without a store that processes share it is refused with the remedy', async () => {
    const transport: TransportFactory = rabbitmq({ url: 'amqp://127.0.0.1:1' });
    const app = await boot({ imports: [MessagingModule.forRoot({ service: 'shop', transport, shutdownTimeout: 1 })] });
    await expect(handle(app, { concurrency: 1 })).rejects.toThrow(
      /«coordination».*«limit» of the subscription «job» needs it/s,
    );
  });
});
