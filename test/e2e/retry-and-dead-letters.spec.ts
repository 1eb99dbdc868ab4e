import { afterEach, expect, test } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import {
  DeadLetters,
  type MessageContext,
  MessagingModule,
  Publisher,
  RetryLaterError,
  Subscribe,
  UnrecoverableError,
  fixed,
} from 'nestjs-messaging';
import { waitFor } from '../brokers/wait-for.js';
import { boot, closeApplications, event, Seen } from './support/application.js';
import { describeBrokers } from './support/brokers.js';

afterEach(closeApplications);

describeBrokers('Handler retry and dead letters', (fresh) => {
  test('a failing handler is called `attempts` times with its backoff, then the message is a complete dead letter', async () => {
    const calls = new Seen<{ attempt: number; at: number }>();
    @Injectable()
    class Handler {
      @Subscribe('order.created', { retry: { attempts: 3, backoff: fixed(60) } })
      handle(_: unknown, { attempt }: MessageContext): void {
        calls.add({ attempt, at: Date.now() });
        throw Object.assign(new TypeError('out of stock'), { stack: 'TypeError: out of stock\n    at shelf' });
      }
    }
    const transport = await fresh();
    const { get, messaging } = await boot({
      imports: [MessagingModule.forRoot({ service: 'orders', transport: transport() })],
      providers: [Handler],
    });
    const dead = event(messaging, 'dead-lettered');
    const body = Buffer.from('{"a": 1,  "ä": "ß"}');
    const headers = {
      tenant: 'x',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      nested: { deep: [1, true, null] },
    };
    const receipt = await get(Publisher).publish('order.created', body, {
      id: 'the-id',
      headers,
      key: 'k',
      correlationId: 'corr',
    });
    expect(receipt).toMatchObject({ id: 'the-id', outcome: 'confirmed' });
    await dead;
    expect(calls.all.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    expect(calls.all[1].at - calls.all[0].at).toBeGreaterThanOrEqual(60);

    const letters = get(DeadLetters);
    await waitFor(async () => (await letters.count()) === 1, 'the count of one');
    const letter = await letters.show('the-id');
    expect(letter).toMatchObject({
      id: 'the-id',
      deadLetterQueue: 'orders:order.created:dlq',
      route: 'order.created',
      reason: 'attempts-exhausted',
      attempts: 3,
      error: { class: 'TypeError', message: 'out of stock', stack: 'TypeError: out of stock\n    at shelf' },
      origin: { topic: 'events', queue: 'orders:order.created:queue', service: 'orders' },
    });
    expect(letter!.body.equals(body)).toBe(true);
    expect(letter!.headers).toMatchObject({ ...headers, 'messaging-key': 'k' });
    expect(letter!.time).toBeGreaterThan(0);
  });

  test('a redriven dead letter is handled as a first attempt with the same id, body and route', async () => {
    const calls = new Seen<unknown>();
    let broken = true;
    @Injectable()
    class Handler {
      @Subscribe('order.*', { name: 'all', retry: false })
      handle(body: unknown, { id, attempt, route, key }: MessageContext): void {
        calls.add({ body, id, attempt, route, key });
        if (broken) throw new Error('broken');
      }
    }
    const transport = await fresh();
    const { get, messaging } = await boot({
      imports: [MessagingModule.forRoot({ service: 'orders', transport: transport() })],
      providers: [Handler],
    });
    const letters = get(DeadLetters);
    for (const id of ['a', 'b', 'c']) {
      const dead = event(messaging, 'dead-lettered');
      await get(Publisher).publish('order.created', { id }, { id, key: 'k' });
      await dead;
    }
    broken = false;
    expect(await letters.redrive({ ids: ['b'] })).toMatchObject({ done: 1, failed: [] });
    await calls.until(4);
    expect(calls.all[3]).toEqual({ body: { id: 'b' }, id: 'b', attempt: 1, route: 'order.created', key: 'k' });
    expect((await letters.list()).map(({ id }) => id)).toEqual(['a', 'c']);
    expect(await letters.list({ subscription: 'all', where: ({ id }) => id > 'a' })).toMatchObject([{ id: 'c' }]);
    await expect(letters.delete({})).rejects.toThrow(/at least one condition \(ids, .*\), or all: true/);
    expect(await letters.delete({ ids: ['a'] })).toEqual({ done: 1, failed: [] });
    await waitFor(async () => (await letters.count({ subscription: 'all' })) === 1, 'the count of one');
    expect(await letters.delete({ all: true })).toEqual({ done: 1, failed: [] });
    await waitFor(async () => (await letters.count()) === 0, 'the count of none');
  });

  test('RetryLaterError sets the wait and spends an attempt, UnrecoverableError goes straight to the dead letters', async () => {
    const calls = new Seen<{ attempt: number; at: number }>();
    @Injectable()
    class Handler {
      @Subscribe('order.created', { retry: { attempts: 5, backoff: fixed(5_000) } })
      handle(_: unknown, { attempt }: MessageContext): void {
        calls.add({ attempt, at: Date.now() });
        throw attempt === 1 ? new RetryLaterError(50) : new UnrecoverableError('hopeless');
      }
    }
    const transport = await fresh();
    const { get, messaging } = await boot({
      imports: [MessagingModule.forRoot({ service: 'orders', transport: transport() })],
      providers: [Handler],
    });
    const dead = event(messaging, 'dead-lettered');
    await get(Publisher).publish('order.created', {});
    expect(await dead).toMatchObject({ attempt: 2, reason: 'unrecoverable' });
    expect(calls.all.map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(calls.all[1].at - calls.all[0].at).toBeGreaterThanOrEqual(50);
  });

  test('subscribers of `#` and `*.*` see no retry copy and no dead letter of another group', async () => {
    const watched = new Seen<string>();
    @Injectable()
    class Watchers {
      @Subscribe('#', { name: 'hash', group: 'watch' })
      hash(_: unknown, { route }: MessageContext): void {
        watched.add(`# ${route}`);
      }

      @Subscribe('*.*', { name: 'stars', group: 'watch' })
      stars(_: unknown, { route }: MessageContext): void {
        watched.add(`*.* ${route}`);
      }

      @Subscribe('order.created', { retry: { attempts: 3, backoff: fixed(20) } })
      failing(): void {
        throw new Error('always');
      }
    }
    const transport = await fresh();
    const { get, messaging } = await boot({
      imports: [MessagingModule.forRoot({ service: 'orders', transport: transport() })],
      providers: [Watchers],
    });
    const dead = event(messaging, 'dead-lettered');
    await get(Publisher).publish('order.created', {});
    await dead;
    await get(Publisher).publish('fence.reached', {});
    const seen = await watched.until(4);
    expect([...seen].sort()).toEqual(['# fence.reached', '# order.created', '*.* fence.reached', '*.* order.created']);
  });

  test('an undecodable, a too deep and a foreign body go raw to the dead letters', async () => {
    const calls = new Seen<unknown>();
    @Injectable()
    class Handler {
      @Subscribe('order.created')
      handle(body: unknown): void {
        calls.add(body);
      }
    }
    const transport = await fresh();
    const { get, messaging } = await boot({
      imports: [
        MessagingModule.forRoot({
          service: 'orders',
          transport: transport(),
          // Stands for a foreign publisher, whose bytes are what they are and whose content type is what it says.
          serializer: {
            serialize: (payload) => payload as { body: Buffer; contentType: string },
            deserialize: (await import('nestjs-messaging')).jsonSerializer.deserialize,
          },
        }),
      ],
      providers: [Handler],
    });
    const bodies: [string, Buffer, string, string][] = [
      ['broken', Buffer.from('{"a":'), 'application/json', 'not JSON'],
      ['utf8', Buffer.from([0x22, 0xff, 0xfe, 0x22]), 'application/json', 'not valid UTF-8'],
      ['deep', Buffer.from('['.repeat(65) + ']'.repeat(65)), 'application/json', 'nested deeper than 64'],
      ['foreign', Buffer.from([8, 1]), 'application/x-protobuf', 'application/x-protobuf'],
    ];
    for (const [id, body, contentType, reason] of bodies) {
      const dead = event(messaging, 'dead-lettered');
      await get(Publisher).publish('order.created', { body, contentType }, { id });
      expect(await dead).toMatchObject({
        reason: 'undecodable',
        attempt: 1,
        error: { message: expect.stringContaining(reason) },
      });
      const letter = await get(DeadLetters).show(id);
      expect(letter?.body.equals(body)).toBe(true);
    }
    expect(calls.all).toEqual([]);
  });

  test('an expired message is not handled but kept as a dead letter', async () => {
    const calls = new Seen<unknown>();
    @Injectable()
    class Handler {
      @Subscribe('order.created', { delay: 60 })
      handle(body: unknown): void {
        calls.add(body);
      }
    }
    const transport = await fresh();
    const { get, messaging } = await boot({
      imports: [MessagingModule.forRoot({ service: 'orders', transport: transport() })],
      providers: [Handler],
    });
    const dead = event(messaging, 'dead-lettered');
    await get(Publisher).publish('order.created', 'late', { ttl: 30 });
    await get(Publisher).publish('order.created', 'in time');
    expect(await dead).toMatchObject({ reason: 'expired' });
    expect(await calls.until(1)).toEqual(['in time']);
  });

  test('with dlq: false an exhausted message is left to the broker, with a warning', async () => {
    @Injectable()
    class Handler {
      @Subscribe('order.created', { dlq: false, retry: { attempts: 2, backoff: 0 } })
      handle(): void {
        throw new Error('always');
      }
    }
    const transport = await fresh();
    const { get, messaging, log } = await boot({
      imports: [MessagingModule.forRoot({ service: 'orders', transport: transport() })],
      providers: [Handler],
    });
    const discarded = event(messaging, 'settled', ({ outcome }) => outcome === 'discard');
    await get(Publisher).publish('order.created', {}, { id: 'dropped' });
    expect(await discarded).toMatchObject({ attempt: 2 });
    expect(log.lines.join('\n')).toMatch(/warn .*dropped was (dropped|rejected) after call 2 \(dlq: false\): always/);
    expect(await get(DeadLetters).count()).toBe(0);
  });

  test('a handler that never ends is given up after its timeout and called again', async () => {
    const calls = new Seen<MessageContext>();
    @Injectable()
    class Handler {
      @Subscribe('order.created', { timeout: 50, retry: { attempts: 2, backoff: 0 } })
      handle(_: unknown, context: MessageContext): Promise<void> {
        calls.add(context);
        return context.attempt === 1 ? new Promise(() => undefined) : Promise.resolve();
      }
    }
    const transport = await fresh();
    const { get, messaging } = await boot({
      imports: [MessagingModule.forRoot({ service: 'orders', transport: transport() })],
      providers: [Handler],
    });
    const settled = event(messaging, 'settled', ({ outcome }) => outcome === 'ack');
    await get(Publisher).publish('order.created', {});
    expect(await settled).toMatchObject({ attempt: 2 });
    expect(calls.all[0].signal.aborted).toBe(true);
    expect(calls.all[1].signal.aborted).toBe(false);
  });
});

test('the waits follow the policy, jitter and all, in virtual time', async () => {
  const { ManualClock } = await import('../../lib/clock/manual-clock.js');
  const { MemoryBroker } = await import('../../lib/transports/memory/memory-broker.js');
  const { memory, exponential } = await import('nestjs-messaging');
  const clock = new ManualClock();
  const calls = new Seen<number>();
  @Injectable()
  class Handler {
    @Subscribe('order.created')
    handle(): void {
      calls.add(clock.now());
      throw new Error('always');
    }
  }
  const retry = {
    attempts: 6,
    immediate: 1,
    backoff: exponential({ initial: 1_000, factor: 4, max: 60_000, jitter: 0 }),
  };
  const { get, messaging } = await boot({
    imports: [
      MessagingModule.forRoot({
        clock,
        transport: memory({ broker: new MemoryBroker({ clock }) }),
        retry,
        shutdownTimeout: 0,
      }),
    ],
    providers: [Handler],
  });
  let dead = false;
  void event(messaging, 'dead-lettered').then(() => (dead = true));
  await get(Publisher).publish('order.created', {});
  for (let step = 0; step < 100 && !dead; step++) await clock.advanceToNext();
  expect(dead).toBe(true);
  expect(calls.all.map((at) => at - calls.all[0])).toEqual([0, 0, 1_000, 5_000, 21_000, 81_000]);
});
