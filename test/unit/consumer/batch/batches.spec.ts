import { describe, expect, test } from '@jest/globals';
import { bounded } from '../../../../lib/consumer/schedule/concurrency.js';
import { partitioned } from '../../../../lib/consumer/schedule/partitioned.js';
import { SubscribeBatch } from '../../../../lib/consumer/subscription/subscribe-batch.decorator.js';
import { mergeByQueue } from '../../../../lib/consumer/subscription/router.js';
import type { SubscribeBatchRequest } from '../../../../lib/consumer/subscription/subscription-options.js';
import { RetryLaterError, UnrecoverableError } from '../../../../lib/errors/handling-errors.js';
import { memoryIdempotencyStore } from '../../../../lib/idempotency/memory-idempotency-store.js';
import { message } from '../../../../lib/message/message-contract.js';
import type { MessagingModuleOptions } from '../../../../lib/messaging.options.js';
import type { BatchContext } from '../../../../lib/pipeline/batch-context.js';
import type { MessageContext } from '../../../../lib/pipeline/message-context.js';
import { Outcome } from '../../../../lib/pipeline/outcome.js';
import { Application, deferred, seeded, start } from '../../support/application.js';
import { type FakeDelivery, FakeTransport, confirmed, failed } from '../../support/fake-transport.js';

interface Call {
  readonly ids: string[];
  readonly payloads: unknown[];
  readonly context: BatchContext;
  readonly end: ReturnType<typeof deferred<unknown>>;
}

/** A batch subscription whose calls run until the test ends them. */
async function manual(request: Partial<SubscribeBatchRequest> = {}, options: MessagingModuleOptions = {}) {
  const app = await start(options);
  return { app, ...(await subscribe(app, request)) };
}

async function subscribe(app: Application, request: Partial<SubscribeBatchRequest> = {}) {
  const calls: Call[] = [];
  await app.messaging.subscribeBatch(
    { route: 'order.created', size: 3, maxWait: 1_000, ...request },
    (payloads, context) => {
      const end = deferred<unknown>();
      calls.push({ ids: context.entries.map(({ id }) => id), payloads, context, end });
      return end.promise as Promise<void>;
    },
  );
  const subscription = app.transport.subscriptions.at(-1)!;
  const deliver = (...ids: string[]): FakeDelivery[] => ids.map((id) => subscription.deliver({ id }));
  return { calls, subscription, deliver, idsOf: () => calls.map(({ ids }) => ids) };
}

const settlements = (deliveries: readonly FakeDelivery[]): string[][] => deliveries.map((one) => one.settlements);

describe('a batch', () => {
  test('is handled when it is full, with the payloads and what there is to know of each message', async () => {
    const { app, calls, subscription } = await manual();
    const first = subscription.deliver({ id: 'a', body: '{"n":1}', headers: { tenant: 'x' } });
    const second = subscription.deliver({ id: 'b', body: '{"n":2}', route: 'order.created' });
    expect(calls).toEqual([]);
    const third = subscription.deliver({ id: 'c', body: '{"n":3}' });
    expect(calls).toHaveLength(1);
    const [{ payloads, context, end }] = calls;
    expect(payloads).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
    expect(context).toMatchObject({ queue: 'orders:order.created:queue', size: 3 });
    expect(context.entries.map(({ id, attempt }) => [id, attempt])).toEqual([
      ['a', 1],
      ['b', 1],
      ['c', 1],
    ]);
    expect(context.entries[0].headers).toEqual({ tenant: 'x' });
    await context.extend(1_000);
    expect(settlements([first, second, third])).toEqual([[], [], []]);
    end.resolve(undefined);
    await app.turn();
    expect(settlements([first, second, third])).toEqual([['ack'], ['ack'], ['ack']]);
    expect(app.clock.pending).toBe(0);
  });

  test('that does not fill is handled «maxWait» after its first message; later ones do not put it off', async () => {
    const { app, deliver, idsOf } = await manual();
    deliver('a');
    await app.clock.advance(900);
    deliver('b');
    await app.clock.advance(99);
    expect(idsOf()).toEqual([]);
    await app.clock.advance(1);
    expect(idsOf()).toEqual([['a', 'b']]);
    deliver('c');
    await app.clock.advance(1_000);
    expect(idsOf()).toEqual([['a', 'b'], ['c']]);
  });

  test('has one timer while it is open, and none when nothing waits', async () => {
    const { app, deliver } = await manual({ size: 10 });
    const timers = app.clock.timerCount;
    deliver('a', 'b', 'c', 'd');
    expect(app.clock.timerCount).toBe(timers + 1);
    deliver('e', 'f', 'g', 'h', 'i', 'j');
    expect(app.clock.timerCount).toBe(timers);
  });

  test('waits for its slot: bounded(n) is for batches, and a full one goes before a later one', async () => {
    const { app, calls, deliver, idsOf } = await manual({ size: 2, concurrency: bounded(1), prefetch: 10 });
    deliver('a', 'b', 'c', 'd', 'e');
    expect(idsOf()).toEqual([['a', 'b']]);
    await app.clock.advance(1_000);
    expect(idsOf()).toEqual([['a', 'b']]);
    calls[0].end.resolve(undefined);
    await app.turn();
    expect(idsOf()).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
    calls[1].end.reject(new Error('x'));
    await app.turn();
    expect(idsOf()).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
  });

  test('that is due but has no slot fills on', async () => {
    const { app, calls, deliver, idsOf } = await manual({ size: 3, concurrency: bounded(1), prefetch: 10 });
    deliver('a');
    await app.clock.advance(1_000);
    deliver('b');
    await app.clock.advance(1_000);
    deliver('c');
    calls[0].end.resolve(undefined);
    await app.turn();
    expect(idsOf()).toEqual([['a'], ['b', 'c']]);
    expect(app.clock.pending).toBe(0);
  });

  test('that is due has its turn before what is to be handled alone and came later', async () => {
    const { app, calls, subscription, deliver, idsOf } = await manual({
      size: 3,
      concurrency: bounded(1),
      prefetch: 10,
    });
    const again = (id: string) => subscription.deliver({ id, direct: true, headers: { 'messaging-attempt': 2 } });
    again('a');
    deliver('b');
    again('c');
    await app.clock.advance(1_000);
    again('d');
    deliver('e');
    for (let at = 0; at < 3; at++) {
      calls[at].end.resolve(undefined);
      await app.turn();
    }
    expect(idsOf()).toEqual([['a'], ['c'], ['b', 'e'], ['d']]);
  });

  test('without a bound runs beside others, as many as the prefetch allows', async () => {
    const { subscription, deliver, idsOf } = await manual({ size: 2 });
    expect(subscription.options.prefetch).toBe(4);
    deliver('a', 'b', 'c', 'd');
    expect(idsOf()).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
    const small = await manual({ size: 2 });
    for (const n of [1, 2, 3])
      small.subscription.deliver({ id: `again${n}`, direct: true, headers: { 'messaging-attempt': 2 } });
    expect(small.idsOf()).toEqual([['again1'], ['again2']]);
  });

  test('whose handlers end at once takes no stack: 20,000 that waited are handled one after the other', async () => {
    const app = await start();
    let handled = 0;
    await app.messaging.subscribeBatch({ route: 'r', size: 1, prefetch: 20_000, maxWait: 0 }, (payloads) => {
      handled += payloads.length;
    });
    app.messaging.pause('r');
    for (let n = 0; n < 20_000; n++) app.transport.subscriptions[0].deliver();
    expect(handled).toBe(0);
    app.messaging.resume('r');
    expect(handled).toBe(20_000);
    expect(app.messaging.health().consumers[0].inFlight).toBe(0);
  });
});

describe('what a batch handler says', () => {
  test('nothing, or anything that is no array and no Outcome: all are acked', async () => {
    for (const result of [undefined, null, { rowCount: 3 }, 'done', 0]) {
      const { app, calls, deliver } = await manual();
      const deliveries = deliver('a', 'b', 'c');
      calls[0].end.resolve(result);
      await app.turn();
      expect(settlements(deliveries)).toEqual([['ack'], ['ack'], ['ack']]);
    }
  });

  test('an error: each message is retried by its own policy, with its own attempt', async () => {
    const { app, calls, subscription } = await manual({ size: 2, retry: { attempts: 2, backoff: 5 } });
    app.transport.answer = () => confirmed;
    const again = subscription.deliver({ id: 'last', direct: true, headers: { 'messaging-attempt': 2 } });
    const deliveries = [subscription.deliver({ id: 'a' }), subscription.deliver({ id: 'b' })];
    for (const { end } of calls) end.reject(new Error('down'));
    await app.turn();
    expect(calls.map(({ ids }) => ids)).toEqual([['last'], ['a', 'b']]);
    const sent = app.transport.published.map(({ to, message: { id, headers } }) => [
      id,
      to.kind,
      headers['messaging-attempt'],
    ]);
    expect(sent).toEqual([
      ['last', 'dead-letter', 2],
      ['a', 'queue', 2],
      ['b', 'queue', 2],
    ]);
    expect(settlements([again, ...deliveries])).toEqual([['ack'], ['ack'], ['ack']]);
  });

  test('an UnrecoverableError: all go to the dead letters; a RetryLaterError says when all are retried', async () => {
    const { app, calls, deliver } = await manual({ size: 2 });
    deliver('a', 'b');
    calls[0].end.reject(new UnrecoverableError('never'));
    await app.turn();
    expect(app.transport.published.map(({ to }) => to.kind)).toEqual(['dead-letter', 'dead-letter']);
    deliver('c', 'd');
    calls[1].end.reject(new RetryLaterError(7_000));
    await app.turn();
    const due = app.transport.published.slice(2).map(({ dueAt }) => dueAt! - app.clock.now());
    expect(due).toEqual([7_000, 7_000]);
  });

  test('an array: each message gets its outcome or its error, and one without either is retried', async () => {
    const app = await start();
    app.transport.answer = () => confirmed;
    const deadLettered = app.record('dead-lettered');
    const { calls, deliver } = await subscribe(app, { size: 6, retry: { attempts: 3, backoff: 10 } });
    const deliveries = deliver('ok', 'later', 'never', 'broken', 'hole', 'missing');
    calls[0].end.resolve([
      Outcome.ack,
      Outcome.retry(500),
      Outcome.deadLetter('unrecoverable', new Error('bad')),
      new UnrecoverableError('also bad'),
      undefined,
    ]);
    await app.turn();
    const copies = app.transport.published.map(({ to, message: { id, headers }, dueAt }) => [
      id,
      to.kind,
      headers['messaging-attempt'],
      dueAt === undefined ? undefined : dueAt - app.clock.now(),
    ]);
    expect(copies).toEqual([
      ['later', 'queue', 2, 500],
      ['never', 'dead-letter', 1, undefined],
      ['broken', 'dead-letter', 1, undefined],
      ['hole', 'queue', 2, 10],
      ['missing', 'queue', 2, 10],
    ]);
    expect(settlements(deliveries)).toEqual(deliveries.map(() => ['ack']));
    expect(deadLettered.map(({ delivery }) => delivery.message.id)).toEqual(['never', 'broken']);
  });

  test('an array that is none of outcomes is no success: its messages are retried, and at last are dead letters that say why', async () => {
    const { app, calls, deliver } = await manual({ size: 2, retry: { attempts: 1 } });
    const deadLettered = app.record('dead-lettered');
    app.transport.answer = () => confirmed;
    deliver('a', 'b');
    calls[0].end.resolve([{ saved: true }]);
    await app.turn();
    expect(deadLettered.map(({ error, reason }) => [(error as { code?: string }).code, reason])).toEqual([
      ['MISSING_OUTCOME', 'attempts-exhausted'],
      ['MISSING_OUTCOME', 'attempts-exhausted'],
    ]);
    expect((deadLettered[0].error as Error).message).toMatch(/an object, which is no Outcome,.*number 1/);
    expect((deadLettered[1].error as Error).message).toMatch(/array of 1 for 2 messages, with nothing.*number 2/);
  });

  test('no outcome is a retry even where only some errors are retried', async () => {
    class Known extends Error {}
    const { app, calls, deliver } = await manual({ size: 1, retry: { only: [Known], backoff: 1 } });
    deliver('a');
    calls[0].end.resolve([]);
    await app.turn();
    expect(app.transport.last).toMatchObject({ to: { kind: 'queue' }, message: { id: 'a' } });
  });

  test('more outcomes than messages: those beyond are ignored, with a warning', async () => {
    const { app, calls, deliver } = await manual({ size: 1 });
    const [delivery] = deliver('a');
    calls[0].end.resolve([Outcome.ack, Outcome.ack]);
    await app.turn();
    expect(delivery.settlements).toEqual(['ack']);
    expect(app.logged('warn')).toEqual([expect.stringContaining('returned 2 outcomes for 1 messages')]);
  });

  test('an Outcome: it holds for all, within their attempts', async () => {
    const { app, calls, deliver } = await manual({ size: 2, retry: { attempts: 1 } });
    deliver('a', 'b');
    calls[0].end.resolve(Outcome.retry(5));
    await app.turn();
    expect(app.transport.published.map(({ to }) => to.kind)).toEqual(['dead-letter', 'dead-letter']);
  });
});

describe('each message of a batch by itself', () => {
  test('one that cannot be decoded goes to the dead letters at once, and the others do not wait for it', async () => {
    const { app, subscription, deliver, idsOf } = await manual({ size: 2 });
    deliver('a');
    const broken = subscription.deliver({ id: 'broken', body: '{' });
    expect(app.transport.last).toMatchObject({ to: { kind: 'dead-letter' }, message: { id: 'broken' } });
    deliver('b');
    expect(idsOf()).toEqual([['a', 'b']]);
    app.transport.settle(confirmed);
    await app.turn();
    expect(broken.settlements).toEqual(['ack']);
  });

  test('one that does not fit the schema goes to the dead letters, and the payload is what the schema makes of it', async () => {
    const contract = message<{ n: number }, { n: number; seen: boolean }>('order.created', {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) => {
          const { n } = value as { n: number };
          return n > 0 ? { value: { n, seen: true } } : { issues: [{ message: 'too small', path: ['n'] }] };
        },
      },
    });
    const { app, calls, subscription } = await manual({ size: 2, route: contract });
    subscription.deliver({ id: 'a', body: '{"n":1}' });
    subscription.deliver({ id: 'small', body: '{"n":0}' });
    subscription.deliver({ id: 'b', body: '{"n":2}' });
    await app.turn();
    expect(calls.map(({ payloads }) => payloads)).toEqual([
      [
        { n: 1, seen: true },
        { n: 2, seen: true },
      ],
    ]);
    expect(app.transport.last).toMatchObject({ to: { kind: 'dead-letter' }, message: { id: 'small' } });
  });

  test('goes through the middleware alone, which sees what becomes of it', async () => {
    const seen: unknown[] = [];
    const middleware = [
      async ({ id }: MessageContext, next: () => Promise<unknown>) => {
        if (id === 'c') return Outcome.discard();
        try {
          seen.push([id, await next()]);
        } catch (error) {
          seen.push([id, (error as Error).message]);
          throw error;
        }
      },
    ];
    const { app, calls, deliver, idsOf } = await manual({ size: 2, middleware });
    const deliveries = deliver('a', 'c', 'b');
    await app.turn();
    expect(idsOf()).toEqual([['a', 'b']]);
    calls[0].end.resolve([Outcome.ack, new Error('not b')]);
    await app.turn();
    expect(seen).toEqual([
      ['a', Outcome.ack],
      ['b', 'not b'],
    ]);
    expect(settlements(deliveries)).toEqual([['ack'], ['ack'], []]);
    expect(app.transport.last.message).toMatchObject({ id: 'b', headers: { 'messaging-attempt': 2 } });
  });

  test('that was tried before is handled alone and at once, so that it cannot take others along', async () => {
    const { subscription, deliver, idsOf } = await manual({ size: 3 });
    deliver('a');
    subscription.deliver({ id: 'again', direct: true, headers: { 'messaging-attempt': 2 } });
    expect(idsOf()).toEqual([['again']]);
    deliver('b', 'c');
    expect(idsOf()).toEqual([['again'], ['a', 'b', 'c']]);
  });

  test('that a process left unsettled is handled alone; the third time it is a suspect', async () => {
    const { app, subscription, deliver, idsOf } = await manual({ size: 3 });
    deliver('a');
    subscription.deliver({ id: 'suspect', deliveryCount: 2 });
    subscription.deliver({ id: 'killer', deliveryCount: 3 });
    expect(idsOf()).toEqual([['suspect']]);
    const headers = { 'messaging-suspect': 1 };
    expect(app.transport.last).toMatchObject({ to: { kind: 'queue' }, message: { id: 'killer', headers } });
  });

  test('a duplicate is acked or put off by itself, and is not in the batch', async () => {
    const { app, calls, deliver, idsOf } = await manual(
      { size: 2, idempotent: true },
      { idempotencyStore: memoryIdempotencyStore() },
    );
    app.transport.answer = () => confirmed;
    deliver('a', 'a', 'b');
    await app.turn();
    expect(idsOf()).toEqual([['a', 'b']]);
    calls[0].end.resolve([Outcome.ack, new Error('not b')]);
    await app.turn();
    const [duplicate] = deliver('a');
    const [failedOne] = deliver('b');
    await app.turn();
    expect(duplicate.settlements).toEqual(['ack']);
    expect(failedOne.settlements).toEqual([]);
    await app.clock.advance(1_000);
    expect(idsOf()).toEqual([['a', 'b'], ['b']]);
    expect(app.messaging.health().consumers[0].idempotency).toMatchObject({ duplicates: 1, deferred: 1 });
  });

  test('one that is too early is put off by itself', async () => {
    const { app, subscription, deliver, idsOf } = await manual({ size: 2, delay: 5_000 });
    deliver('a', 'b', 'c');
    expect(idsOf()).toEqual([]);
    expect(app.transport.published.map(({ dueAt }) => dueAt! - app.clock.now())).toEqual([5_000, 5_000, 5_000]);
    subscription.deliver({ id: 'due', direct: true, headers: { 'messaging-attempt': 1 } });
    subscription.deliver({ id: 'due too', direct: true, headers: { 'messaging-attempt': 1 } });
    expect(idsOf()).toEqual([['due', 'due too']]);
  });
});

describe('a timeout', () => {
  test('is for the call: the batch’s signal is aborted, and every message is retried by itself', async () => {
    const { app, calls, deliver } = await manual({ size: 2, timeout: 3_000, retry: { backoff: 10 } });
    app.transport.answer = () => confirmed;
    const [early] = deliver('a');
    await app.clock.advance(999);
    const [late] = deliver('b');
    await app.clock.advance(2_999);
    const { context } = calls[0];
    expect(context.signal.aborted).toBe(false);
    await app.clock.advance(1);
    expect(context.signal.reason).toMatchObject({ code: 'HANDLER_TIMEOUT' });
    expect(context.entries.map(({ signal }) => signal.aborted)).toEqual([true, true]);
    expect(app.transport.published.map(({ message: { id, headers } }) => [id, headers['messaging-attempt']])).toEqual([
      ['a', 2],
      ['b', 2],
    ]);
    expect(settlements([early, late])).toEqual([['ack'], ['ack']]);
  });

  test('a call that runs on keeps the slot of its batch until it ends, and health shows it', async () => {
    const { app, calls, deliver, idsOf } = await manual({ size: 1, timeout: 1_000, concurrency: bounded(1) });
    app.transport.answer = () => confirmed;
    deliver('a', 'b');
    await app.clock.advance(1_500);
    expect(idsOf()).toEqual([['a']]);
    expect(app.messaging.health().consumers[0].reason).toBe('1 handler past its timeout');
    calls[0].end.resolve(undefined);
    await app.turn();
    expect(idsOf()).toEqual([['a'], ['b']]);
    calls[1].end.resolve(undefined);
    await app.turn();
    expect(app.messaging.health().consumers[0]).toMatchObject({ inFlight: 0 });
    expect(app.messaging.health().consumers[0].reason).toBeUndefined();
  });
});

describe('lost deliveries', () => {
  test('of a batch that is handled: each one’s signal is aborted, the batch’s with the last, and nothing is settled', async () => {
    const { app, calls, subscription, deliver } = await manual({ size: 3 });
    const settled = app.record('settled');
    const deliveries = deliver('a', 'b', 'c');
    const { context, end } = calls[0];
    subscription.lose(deliveries[0]);
    expect([context.entries[0].signal.aborted, context.signal.aborted]).toEqual([true, false]);
    subscription.lose(deliveries[1]);
    subscription.lose(deliveries[2]);
    expect(context.signal.reason).toMatchObject({ code: 'DELIVERY_LOST' });
    end.reject(new Error('aborted'));
    await app.turn();
    expect(settlements(deliveries)).toEqual([[], [], []]);
    expect(app.transport.batches).toEqual([]);
    expect(settled.map(({ outcome }) => outcome)).toEqual(['released', 'released', 'released']);
    expect(app.messaging.health().consumers[0].inFlight).toBe(0);
  });

  test('when one of a handled batch is lost, the others are settled by its result', async () => {
    const { app, calls, subscription, deliver } = await manual({ size: 3 });
    const deliveries = deliver('a', 'b', 'c');
    subscription.lose(deliveries[1]);
    calls[0].end.resolve([Outcome.ack, Outcome.ack, Outcome.discard()]);
    await app.turn();
    expect(settlements(deliveries)).toEqual([['ack'], [], ['ack']]);
  });

  test('of a batch that is not full are not handled, and leave their places to others', async () => {
    const { app, subscription, deliver, idsOf } = await manual({ size: 3 });
    const timers = app.clock.timerCount;
    const deliveries = deliver('a', 'b');
    for (const one of deliveries) subscription.lose(one);
    expect(app.clock.timerCount).toBe(timers);
    expect(app.messaging.health().consumers[0].inFlight).toBe(0);
    deliver('c', 'd');
    subscription.lose(deliver('e')[0]);
    await app.clock.advance(1_000);
    expect(idsOf()).toEqual([['c', 'd', 'e']]);
  });

  test('of a batch that waits for a slot or the end of a pause are not handled', async () => {
    const { app, calls, subscription, deliver, idsOf } = await manual({
      size: 2,
      concurrency: bounded(1),
      prefetch: 9,
    });
    deliver('a', 'b');
    const waiting = deliver('c', 'd', 'e', 'f');
    subscription.lose(waiting[0]);
    subscription.lose(waiting[2]);
    subscription.lose(waiting[3]);
    calls[0].end.resolve(undefined);
    await app.turn();
    expect(idsOf()).toEqual([['a', 'b'], ['d']]);
  });

  test('free the key of an idempotent message that waits, so that it is handled when it comes again', async () => {
    const { app, subscription, deliver, idsOf } = await manual({ size: 2, idempotent: true });
    const [delivery] = deliver('a');
    await app.turn();
    subscription.lose(delivery);
    await app.turn();
    deliver('a', 'b');
    await app.turn();
    expect(idsOf()).toEqual([['a', 'b']]);
  });
});

describe('pause and shutdown', () => {
  test('a paused subscription handles nothing, also when a batch is due; resume does', async () => {
    const { app, deliver, idsOf } = await manual({ size: 3 });
    deliver('a');
    app.messaging.pause('order.created');
    deliver('b');
    await app.clock.advance(5_000);
    expect(idsOf()).toEqual([]);
    app.messaging.resume('order.created');
    await app.clock.advance(1_000);
    expect(idsOf()).toEqual([['a', 'b']]);
  });

  test('at the end of the application a batch that was not begun is given back at once, and one that runs is waited for', async () => {
    const { app, calls, deliver, idsOf } = await manual({ size: 2, concurrency: bounded(1), prefetch: 9 });
    const [a, b] = deliver('a', 'b');
    const rest = deliver('c', 'd', 'e');
    let stopped = false;
    const stopping = app.messaging.stopIntake().then(() => (stopped = true));
    await app.clock.advance(2_000);
    expect(settlements(rest)).toEqual([['release'], ['release'], ['release']]);
    expect(stopped).toBe(false);
    calls[0].end.resolve(undefined);
    await app.turn();
    await stopping;
    expect(settlements([a, b])).toEqual([['ack'], ['ack']]);
    expect(idsOf()).toEqual([['a', 'b']]);
    expect(app.logged('warn')).toEqual([]);
    expect(app.clock.pending).toBe(0);
  });

  test('a batch past the shutdown deadline is aborted and given back', async () => {
    const { app, calls, deliver } = await manual({ size: 2 }, { shutdownTimeout: 2_000 });
    const deliveries = deliver('a', 'b');
    const stopping = app.messaging.stopIntake();
    await app.clock.advance(2_000);
    await app.clock.advance(500);
    await stopping;
    expect(calls[0].context.signal.reason).toMatchObject({ code: 'DELIVERY_LOST' });
    expect(settlements(deliveries)).toEqual([['release'], ['release']]);
    calls[0].end.reject(new Error('too late'));
    await app.turn();
    expect(settlements(deliveries)).toEqual([['release'], ['release']]);
  });

  test('a message that comes through its middleware only then is given back, too, and its key is free', async () => {
    const gate = deferred();
    const store = memoryIdempotencyStore();
    const released: string[] = [];
    const watched = {
      kind: 'watched',
      create: (environment: Parameters<typeof store.create>[0]) => {
        const real = store.create(environment);
        const release = real.release.bind(real);
        real.release = (key, token) => {
          released.push(key);
          return release(key, token);
        };
        return real;
      },
    };
    const middleware = [
      async (_: MessageContext, next: () => Promise<unknown>) => {
        await gate.promise;
        return next();
      },
    ];
    const { app, deliver, idsOf } = await manual(
      { size: 1, idempotent: true, middleware },
      { idempotencyStore: watched },
    );
    const [delivery] = deliver('a');
    await app.turn();
    const stopping = app.messaging.stopIntake();
    await app.turn();
    gate.resolve();
    await app.turn();
    await stopping;
    expect(idsOf()).toEqual([]);
    expect(delivery.settlements).toEqual(['release']);
    expect(released).toEqual(['orders:order.created:queue.a']);
    expect(app.logged('warn')).toEqual([]);
  });
});

describe('the kill switch', () => {
  const killSwitch = { failures: 2, probeAfter: 10_000 };

  test('counts a batch as one call: failed when none of it succeeded', async () => {
    const { app, calls, deliver } = await manual({ size: 2, killSwitch, prefetch: 20 });
    app.transport.answer = () => confirmed;
    const state = (): string => app.messaging.health().consumers[0].state;
    deliver('a', 'b');
    calls[0].end.reject(new Error('down'));
    await app.turn();
    expect(state()).toBe('consuming');
    deliver('c', 'd');
    calls[1].end.resolve([Outcome.ack, new Error('only this one')]);
    await app.turn();
    for (const at of [2, 3]) {
      deliver(`e${at}`, `f${at}`);
      calls[at].end.resolve([new UnrecoverableError('its own fault'), Outcome.retry(1)]);
      await app.turn();
      expect(state()).toBe(at === 2 ? 'consuming' : 'paused');
    }
  });

  test('tries with a batch of one message, and goes on with batches when that succeeds', async () => {
    const { app, calls, deliver, idsOf } = await manual({ size: 2, killSwitch, prefetch: 20 });
    app.transport.answer = () => confirmed;
    deliver('a', 'b', 'c', 'd');
    deliver('e');
    for (const { end } of calls) end.reject(new Error('down'));
    await app.turn();
    deliver('f', 'g', 'h');
    await app.clock.advance(9_999);
    expect(idsOf().slice(2)).toEqual([]);
    await app.clock.advance(1);
    expect(idsOf().slice(2)).toEqual([['e']]);
    await app.clock.advance(5_000);
    expect(idsOf().slice(3)).toEqual([]);
    calls[2].end.resolve(undefined);
    await app.clock.advance(1_000);
    expect(idsOf().slice(3)).toEqual([['f'], ['g', 'h']]);
  });

  test('a probe out of a full batch takes one message of it', async () => {
    const { app, calls, deliver, idsOf } = await manual({
      size: 3,
      killSwitch: { failures: 1, probeAfter: 10 },
      prefetch: 20,
    });
    app.transport.answer = () => confirmed;
    deliver('a', 'b', 'c');
    calls[0].end.reject(new Error('down'));
    await app.turn();
    const waiting = deliver('d', 'e', 'f');
    await app.clock.advance(10);
    expect(idsOf().slice(1)).toEqual([['d']]);
    calls[1].end.reject(new Error('still down'));
    await app.clock.advance(10);
    expect(idsOf().slice(2)).toEqual([['e']]);
    calls[2].end.resolve(undefined);
    await app.turn();
    expect(idsOf().slice(3)).toEqual([['f']]);
    calls[3].end.resolve(undefined);
    await app.turn();
    expect(settlements(waiting)).toEqual([['ack'], ['ack'], ['ack']]);
  });

  test('a probe whose delivery is lost is followed by another', async () => {
    const { app, calls, subscription, deliver, idsOf } = await manual({
      size: 1,
      killSwitch: { failures: 1, probeAfter: 10 },
    });
    app.transport.answer = () => confirmed;
    deliver('a');
    calls[0].end.reject(new Error('down'));
    await app.clock.advance(10);
    const [probe] = deliver('b');
    expect(idsOf().slice(1)).toEqual([['b']]);
    subscription.lose(probe);
    deliver('c');
    expect(idsOf().slice(1)).toEqual([['b'], ['c']]);
  });
});

test('in thousands of random steps every delivery is settled exactly once or lost, no batch is too large, and none too many run', async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = seeded(seed);
    const below = (limit: number): number => Math.floor(random() * limit);
    const size = 1 + below(5);
    const limit = 1 + below(3);
    const app = new Application({ shutdownTimeout: 2_000 }, new FakeTransport());
    await app.messaging.connect();
    app.transport.connected();
    const { calls, subscription } = await subscribe(app, {
      ...{ size, maxWait: below(300), prefetch: 500, concurrency: bounded(limit), retry: { backoff: 10 } },
      ...(random() < 0.5 && { idempotent: true }),
      ...(random() < 0.3 && { timeout: 200 }),
      ...(random() < 0.3 && { killSwitch: { failures: 3, probeAfter: 50 } }),
    });
    const deliveries: FakeDelivery[] = [];
    const ended = new Set<Call>();
    for (let n = 0; n < 150; n++) {
      const dice = random();
      const running = calls.filter((call) => !ended.has(call));
      if (dice < 0.45)
        deliveries.push(
          subscription.deliver({ id: `m${n}`, deliveryCount: below(2), ...(random() < 0.05 && { body: '{' }) }),
        );
      else if (dice < 0.55 && deliveries.length > 0) {
        const delivery = deliveries[below(deliveries.length)];
        if (delivery.settlements.length === 0 && !delivery.lost) subscription.lose(delivery);
      } else if (dice < 0.75 && running.length > 0) {
        const call = running[below(running.length)];
        ended.add(call);
        const kind = random();
        if (kind < 0.5) call.end.resolve(undefined);
        else if (kind < 0.7) call.end.reject(new Error('x'));
        else
          call.end.resolve(call.ids.map(() => [Outcome.ack, new Error('y'), undefined, Outcome.discard()][below(4)]));
      } else if (dice < 0.8) await app.clock.advance(below(200));
      else if (dice < 0.83) app.messaging.pause('order.created');
      else if (dice < 0.88) app.messaging.resume('order.created');
      else if (app.transport.pending.length > 0) app.transport.settle(random() < 0.7 ? confirmed : failed());
      await app.turn();
      const live = calls.filter((call) => !ended.has(call) && !call.context.signal.aborted);
      if (live.length > limit) throw new Error(`Seed ${seed}: ${live.length} batches run, ${limit} may`);
      const large = calls.find(({ ids }) => ids.length > size);
      if (large) throw new Error(`Seed ${seed}: a batch of ${large.ids.length}, ${size} may be`);
    }
    app.transport.answer = () => confirmed;
    app.transport.settleAll(confirmed);
    const stopped = app.messaging.stopIntake();
    await app.clock.advance(4_000);
    await stopped;
    const wrong = deliveries.filter(({ lost, settlements: { length } }) => length > 1 || (!lost && length === 0));
    expect(wrong).toEqual([]);
    expect(app.clock.pending).toBe(0);
    for (const { end } of calls) end.resolve(undefined);
    await app.turn();
    expect(deliveries.filter(({ settlements: { length } }) => length > 1)).toEqual([]);
    expect(app.messaging.health().consumers.map(({ inFlight }) => inFlight)).toEqual([0]);
  }
});

test('types the payloads by the contract, and takes nothing for a result that is none', () => {
  const plain = message<{ n: number }>('plain');
  class Handlers {
    @SubscribeBatch(plain, { size: 2 })
    right(payloads: { n: number }[], { entries }: BatchContext): (Outcome | Error)[] {
      return payloads.map(({ n }, at) => (n > entries[at].attempt ? Outcome.ack : new Error('x')));
    }

    @SubscribeBatch({ route: 'untyped', size: 2 })
    async untyped(payloads: string[]): Promise<void> {
      await Promise.resolve(payloads);
    }

    // @ts-expect-error the payload has another type
    @SubscribeBatch(plain, { size: 2 })
    wrong(payloads: { n: string }[]): void {
      void payloads;
    }

    // @ts-expect-error rows are no outcomes
    @SubscribeBatch('untyped', { size: 2 })
    rows(payloads: { n: number }[]): { n: number }[] {
      return payloads;
    }
  }
  // Never called: the compiler is asked.
  const ask = ({ messaging }: Application): unknown[] => [
    messaging.subscribeBatch({ route: plain, size: 2 }, (payloads) => void payloads[0].n.toFixed()),
    messaging.subscribeBatch<{ own: string }>({ route: 'untyped', size: 2 }, ([{ own }]) => void own.length),
    // @ts-expect-error the payload has another type
    messaging.subscribeBatch({ route: plain, size: 2 }, (payloads: { n: string }[]) => void payloads),
    // @ts-expect-error a batch has a size
    messaging.subscribeBatch({ route: plain }, () => undefined),
    // @ts-expect-error rows are no outcomes
    messaging.subscribeBatch({ route: plain, size: 2 }, (payloads) => payloads),
  ];
  expect([Handlers, ask]).toBeDefined();
});

describe('what contradicts itself is refused', () => {
  const cases: [string, Partial<SubscribeBatchRequest> & object, RegExp][] = [
    ['a size that is none', { size: 0 }, /«size».*whole number from 1/],
    ['a size beyond every prefetch', { size: 65_536 }, /«size»/],
    ['a negative wait', { maxWait: -1 }, /«maxWait»/],
    [
      'a prefetch below the size',
      { size: 50, prefetch: 10 },
      /«prefetch».*at least 50.*Raise «prefetch», lower «size», or leave «prefetch» out/,
    ],
    [
      'a prefetch below the batches side by side',
      { size: 10, prefetch: 20, concurrency: bounded(3) },
      /at least 30, 3 batches of 10 side by side.*Raise «prefetch», lower «size» or the bound/,
    ],
    [
      'more than any prefetch side by side',
      { size: 60_000, concurrency: bounded(2) },
      /«size».*Lower «size» or the bound/,
    ],
  ];

  test('what has an order of its own, or shares a queue', async () => {
    const app = await start();
    const batch = (request: object): Promise<unknown> =>
      app.messaging.subscribeBatch({ route: 'a', size: 3, ...request }, () => undefined);
    await expect(batch({ concurrency: partitioned({}) })).rejects.toThrow(
      /«concurrency».*bounded\(n\) or unbounded\(\)/,
    );
    await expect(batch({ handles: 'a' })).rejects.toThrow(/«handles» tells handlers apart.*another «name»/);
    await expect(batch({ routeBy: () => 'a' })).rejects.toThrow(/«routeBy» tells handlers apart/);
    await expect(batch({ sizes: 3 })).rejects.toThrow(/subscription.sizes.*there are: size, maxWait/);
    await expect(batch({ route: ['a', 'b'] })).rejects.toMatchObject({ code: 'SUBSCRIPTION_CONFLICT' });
    expect(app.transport.subscriptions).toEqual([]);
  });

  test('a wait as long as the broker waits for an ack', async () => {
    const app = await start({}, new FakeTransport({ ackTimeoutMs: 1_000 }));
    await expect(app.messaging.subscribeBatch({ route: 'a', size: 3 }, () => undefined)).rejects.toThrow(
      /«maxWait».*less than 1000/,
    );
  });

  test('a batch and another handler on one queue', () => {
    const app = new Application();
    const batch = {
      definition: app.messaging.definitions.defineBatch({ route: 'a', size: 3 })!,
      batchHandler: () => {},
    };
    const single = { definition: app.messaging.definitions.define({ route: 'a' })!, handler: () => {} };
    for (const pair of [
      [batch, single],
      [single, batch],
      [batch, batch],
    ])
      expect(() => mergeByQueue(pair)).toThrow(
        /share the queue «orders:a:queue».*one of them is a batch.*Give one a «name»/,
      );
  });

  test('an override of a size where there are no batches; of a batch it counts', () => {
    const app = new Application({ subscriptions: { a: { size: 7, maxWait: 5 } } });
    expect(() => app.messaging.definitions.define({ route: 'a' })).toThrow(/subscription\.size/);
    expect(app.messaging.definitions.defineBatch({ route: 'a', size: 3 })).toMatchObject({
      prefetch: 14,
      batch: { size: 7, maxWaitMs: 5, limit: 2 },
    });
  });

  test.each(cases)('%s', async (_, request, expected) => {
    const app = await start();
    await expect(app.messaging.subscribeBatch({ route: 'a', size: 3, ...request }, () => undefined)).rejects.toThrow(
      expected,
    );
  });
});
