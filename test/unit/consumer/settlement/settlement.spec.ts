import { describe, expect, test } from '@jest/globals';
import { hostname } from 'node:os';
import { RetryLaterError, UnrecoverableError } from '../../../../lib/errors/handling-errors.js';
import { Outcome } from '../../../../lib/pipeline/outcome.js';
import type { RetryOptions } from '../../../../lib/retry/retry-policy.js';
import { type Application, deferred, start } from '../../support/application.js';
import { FakeDelivery, FakeTransport, confirmed, failed, refused, unroutable } from '../../support/fake-transport.js';

const QUEUE = 'orders:order.created:queue';
const throws =
  (error: unknown): (() => never) =>
  () => {
    throw error;
  };

async function failing(
  error: unknown,
  retry: RetryOptions | false = { attempts: 3, backoff: 100 },
): Promise<Application> {
  const app = await start();
  await app.subscribe(throws(error), { retry });
  return app;
}

describe('a message is settled once, and only when nothing can be lost', () => {
  test('acked after the handler has resolved, not before', async () => {
    const app = await start();
    const handling = deferred<string>();
    const settled = app.record('settled');
    const subscription = await app.subscribe(() => handling.promise);
    const delivery = subscription.deliver();
    await app.clock.advance(250);
    expect(delivery.settlements).toEqual([]);
    handling.resolve('anything');
    await app.turn();
    expect(delivery.settlements).toEqual(['ack']);
    expect(settled).toEqual([expect.objectContaining({ outcome: 'ack', attempt: 1, durationMs: 250 })]);
    expect(app.transport.batches).toEqual([]);
  });

  test('a retry is a copy to its own queue, and the original is acked only after the copy is confirmed', async () => {
    const app = await failing(new Error('not now'));
    const delivery = app.transport.subscriptions[0].deliver({ id: 'a', headers: { tenant: 7 }, topic: 'events' });
    await app.turn();
    expect(app.transport.last).toMatchObject({
      to: { kind: 'queue', queue: QUEUE },
      dedupeId: expect.stringMatching(new RegExp(`^a:${QUEUE}:2:`)),
      dueAt: app.clock.now() + 100,
      mandatory: true,
      message: {
        id: 'a',
        route: 'order.created',
        body: Buffer.from('{"n":1}'),
        headers: {
          tenant: 7,
          'messaging-attempt': 2,
          'messaging-not-before': app.clock.now() + 100,
          'messaging-origin-topic': 'events',
          'messaging-origin-route': 'order.created',
          'messaging-origin-queue': QUEUE,
          'messaging-version': 1,
        },
      },
    });
    expect(delivery.settlements).toEqual([]);
    app.transport.settle(confirmed);
    await app.turn();
    expect(delivery.settlements).toEqual(['ack']);
  });

  test('a retry copy that can never be written is dead-lettered, and then handed to the broker’s own dead-lettering', async () => {
    const app = await failing(new Error('not now'));
    const delivery = app.transport.subscriptions[0].deliver({ id: 'a' });
    await app.turn();
    app.transport.settle(refused('headers of 64 KiB'));
    await app.turn();
    expect(app.transport.last).toMatchObject({
      to: { kind: 'dead-letter' },
      message: { id: 'a', headers: { 'messaging-reason': 'unrecoverable', 'messaging-error-code': 'PUBLISH_REFUSED' } },
    });
    expect(delivery.settlements).toEqual([]);
    app.transport.settle(refused('headers of 64 KiB'));
    await app.turn();
    expect(delivery.settlements).toEqual(['reject']);
    expect(app.transport.batches).toHaveLength(2);
  });

  test('an Outcome.retry of the application stays within the attempts', async () => {
    const app = await start();
    await app.subscribe(() => Outcome.retry(0), { retry: { attempts: 2 } });
    app.transport.subscriptions[0].deliver({ direct: true, headers: { 'messaging-attempt': 2 } });
    await app.turn();
    expect(app.transport.last).toMatchObject({
      to: { kind: 'dead-letter' },
      message: { headers: { 'messaging-reason': 'attempts-exhausted' } },
    });
  });

  test('a copy that cannot be written gives the original back with growing waits, and never acks it', async () => {
    const app = await failing(new Error('not now'));
    const errors = app.record('store-error');
    const settled = app.record('settled');
    const waits: string[] = [];
    for (let n = 0; n < 9; n++) {
      const delivery = app.transport.subscriptions[0].deliver();
      await app.turn();
      app.transport.settle(failed());
      await app.turn();
      waits.push(...delivery.settlements);
      await app.clock.advance(30_000);
    }
    expect(waits).toEqual(
      [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000].map((ms) => `release ${ms}`),
    );
    expect(errors).toHaveLength(9);
    expect(settled.every(({ outcome }) => outcome === 'released')).toBe(true);
    const works = app.transport.subscriptions[0].deliver();
    await app.turn();
    app.transport.settle(confirmed);
    const again = app.transport.subscriptions[0].deliver();
    await app.turn();
    app.transport.settle(failed());
    await app.turn();
    expect([works.settlements, again.settlements]).toEqual([['ack'], ['release 500']]);
  });

  test('copies that fail in one outage give their originals back with the same wait', async () => {
    const app = await failing(new Error('not now'));
    const deliveries = Array.from({ length: 8 }, () => app.transport.subscriptions[0].deliver());
    await app.turn();
    app.transport.settleAll(failed());
    await app.turn();
    expect(deliveries.map(({ settlements }) => settlements)).toEqual(deliveries.map(() => ['release 500']));
  });

  test('a copy that no queue takes has the topology declared again before the original is given back', async () => {
    const app = await failing(new UnrecoverableError());
    expect(app.transport.declared).toHaveLength(1);
    const delivery = app.transport.subscriptions[0].deliver();
    await app.turn();
    app.transport.settle(unroutable());
    await app.turn();
    expect(app.transport.declared).toHaveLength(2);
    expect(app.transport.declared[1]).toEqual(app.transport.declared[0]);
    expect(delivery.settlements).toEqual(['release 500']);
  });

  test('a topology that cannot be declared again is an error line, and the original is given back all the same', async () => {
    const app = await failing(new UnrecoverableError());
    app.transport.declare = () => Promise.reject(new Error('not allowed'));
    const delivery = app.transport.subscriptions[0].deliver();
    await app.turn();
    app.transport.settle(unroutable());
    await app.turn();
    expect(app.logged('error')).toEqual([expect.stringContaining('not allowed')]);
    expect(delivery.settlements).toEqual(['release 500']);
  });

  test('a transport that moves as one is asked to, and core acks nothing then', async () => {
    const app = await failing(new Error('x'));
    const subscription = app.transport.subscriptions[0];
    const moved: unknown[] = [];
    const deliver = subscription.deliver.bind(subscription);
    const handlers = (subscription as any).handlers as { delivery(d: unknown): void };
    const original = handlers.delivery;
    handlers.delivery = (delivery: any) => {
      delivery.move = async (to: unknown) => {
        moved.push(to);
        return confirmed;
      };
      original(delivery);
    };
    const delivery = deliver();
    await app.turn();
    expect(moved).toHaveLength(1);
    expect(delivery.settlements).toEqual([]);
    expect(app.transport.batches).toEqual([]);
  });

  test('a transport that redelivers by itself is asked to give back after the wait', async () => {
    const app = await start({}, new FakeTransport({ retry: 'redelivery' }));
    const subscription = await app.subscribe(throws(new Error('x')), { retry: { backoff: 700 } });
    const delivery = subscription.deliver();
    await app.turn();
    expect(delivery.settlements).toEqual(['release 700']);
    expect(app.transport.batches).toEqual([]);
  });

  test('a delivery that is lost while its copy is being written is not settled by us', async () => {
    const app = await failing(new Error('x'));
    const subscription = app.transport.subscriptions[0];
    const delivery = subscription.deliver();
    await app.turn();
    subscription.lose(delivery);
    app.transport.settle(confirmed);
    await app.turn();
    expect(delivery.settlements).toEqual([]);
  });

  test('a delay beyond what the transport can do is cut, not refused for ever', async () => {
    const app = await start({}, new FakeTransport({ maxDelayMs: 1_000 }));
    const subscription = await app.subscribe(throws(new RetryLaterError(60_000)));
    subscription.deliver();
    await app.turn();
    expect(app.transport.last.dueAt).toBe(app.clock.now() + 1_000);
  });
});

describe('a dead letter is complete', () => {
  test('raw bytes, all headers, the reason, the error, where it came from', async () => {
    class PaymentError extends Error {
      override readonly name = 'PaymentError';
    }
    const app = await failing(new PaymentError('card declined at https://user:pw@bank'), false);
    const deadLettered = app.record('dead-lettered');
    const settled = app.record('settled');
    const body = Buffer.from([0x7b, 0x7d, 0x20, 0x0a]);
    const delivery = app.transport.subscriptions[0].deliver({
      id: 'a',
      body,
      headers: { tenant: 7, traceparent: '00-a' },
      properties: { contentType: 'application/json', correlationId: 'c', priority: 3 },
      topic: 'events',
    });
    await app.turn();
    expect(delivery.settlements).toEqual([]);
    const { to, message, mandatory } = app.transport.last;
    expect({ to, mandatory }).toEqual({
      to: { kind: 'dead-letter', route: 'orders:order.created:dlq' },
      mandatory: true,
    });
    expect(message).toMatchObject({
      id: 'a',
      route: 'order.created',
      body,
      properties: { contentType: 'application/json', correlationId: 'c' },
      headers: {
        tenant: 7,
        traceparent: '00-a',
        'messaging-attempt': 1,
        'messaging-reason': 'attempts-exhausted',
        'messaging-error-class': 'PaymentError',
        'messaging-error-message': 'card declined at https://***@bank',
        'messaging-origin-topic': 'events',
        'messaging-origin-route': 'order.created',
        'messaging-origin-queue': QUEUE,
        'messaging-origin-time': app.clock.now(),
        'messaging-origin-service': 'orders',
        'messaging-origin-host': hostname(),
      },
    });
    const stack = message.headers['messaging-error-stack'] as string;
    expect(stack).toContain('settlement.spec');
    expect(stack).not.toContain('pw@');
    expect(message.headers).not.toHaveProperty('messaging-error-code');
    app.transport.settle(confirmed);
    await app.turn();
    expect(delivery.settlements).toEqual(['ack']);
    expect(deadLettered).toEqual([expect.objectContaining({ attempt: 1, reason: 'attempts-exhausted' })]);
    expect(settled).toEqual([expect.objectContaining({ outcome: 'dead-letter', error: expect.any(PaymentError) })]);
    expect(app.logged('warn')).toEqual([
      expect.stringMatching(/message a went to «orders:order.created:dlq» \(attempts-exhausted\)/),
    ]);
  });

  test('what is written about an error is bounded', async () => {
    const error = new Error('m'.repeat(5_000));
    error.name = 'N'.repeat(5_000);
    error.stack = 's'.repeat(50_000);
    const app = await failing(error, false);
    app.transport.subscriptions[0].deliver();
    await app.turn();
    const { headers } = app.transport.last.message;
    expect((headers['messaging-error-message'] as string).length).toBe(1_024);
    expect((headers['messaging-error-stack'] as string).length).toBe(8_192);
    expect((headers['messaging-error-class'] as string).length).toBe(255);
  });

  test('the stack can be turned off', async () => {
    const app = await start({ deadLetterStack: false });
    const subscription = await app.subscribe(throws(new UnrecoverableError('no')));
    subscription.deliver();
    await app.turn();
    expect(app.transport.last.message.headers).toMatchObject({
      'messaging-error-code': 'UNRECOVERABLE',
      'messaging-error-class': 'UnrecoverableError',
    });
    expect(app.transport.last.message.headers).not.toHaveProperty('messaging-error-stack');
  });

  const hostile = (): Error =>
    Object.defineProperties(new Error('x'), {
      stack: { value: 42 },
      message: { value: { not: 'a text' } },
      name: { get: throws(new Error('no name')) },
    });
  test.each<[string, () => unknown, object]>([
    ['a text', () => 'just a text', { 'messaging-error-class': 'string', 'messaging-error-message': 'just a text' }],
    ['nothing', () => undefined, { 'messaging-reason': 'attempts-exhausted' }],
    ['an object without a prototype', () => Object.create(null), { 'messaging-error-class': 'object' }],
    ['an error with hostile members', hostile, { 'messaging-error-class': 'unknown' }],
    ['a symbol', () => Symbol('s'), { 'messaging-error-message': 'Symbol(s)' }],
  ])('whatever is thrown, it is kept and its slot is freed: %s', async (_, thrown, headers) => {
    const app = await failing(thrown(), false);
    const delivery = app.transport.subscriptions[0].deliver();
    await app.turn();
    expect(app.transport.last.message.headers).toMatchObject(headers);
    app.transport.settle(confirmed);
    await app.turn();
    expect(delivery.settlements).toEqual(['ack']);
    expect(app.messaging.health().consumers[0].inFlight).toBe(0);
  });

  test('a foreign message without an id gets one, so that it can be named', async () => {
    const app = await failing(new UnrecoverableError());
    app.transport.subscriptions[0].deliver({ id: '' });
    await app.turn();
    expect(app.transport.last.message.id).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('with dlq: false it is left to the broker, which drops it or has dead letters of its own: a warning and an event', async () => {
    const app = await start();
    const settled = app.record('settled');
    const deadLettered = app.record('dead-lettered');
    const subscription = await app.subscribe(throws(new Error('no')), { dlq: false, retry: false });
    const delivery = subscription.deliver({ id: 'a' });
    await app.turn();
    expect(delivery.settlements).toEqual(['reject']);
    expect(app.transport.batches).toEqual([]);
    expect(settled).toEqual([expect.objectContaining({ outcome: 'discard' })]);
    expect(deadLettered).toEqual([]);
    expect(app.logged('warn')).toEqual([
      expect.stringMatching(
        /message a was rejected after call 1 \(dlq: false\): no\. A dead-letter exchange .* takes it; without one it is dropped$/,
      ),
    ]);
  });

  test('with dlq: false what is dropped on purpose is acked: nothing else is to take it', async () => {
    const app = await start();
    const subscription = await app.subscribe(() => Outcome.discard(), { dlq: false });
    const delivery = subscription.deliver();
    await app.turn();
    expect(delivery.settlements).toEqual(['ack']);
  });

  test.each([
    ['discard', Outcome.discard(), {}, /message m1 was dropped after call 1$/],
    ['discard with dlq: false', Outcome.discard(), { dlq: false }, /message m1 was dropped after call 1$/],
    ['dead letter', Outcome.deadLetter('unrecoverable'), {}, /message m1 went to «.*» \(unrecoverable\) after call 1$/],
    ['dead letter with dlq: false', Outcome.deadLetter('unrecoverable'), { dlq: false }, /call 1 \(dlq: false\)\. /],
    ['retry', Outcome.retry(50), {}, /call 1 of message m1 failed, the next one in 50 ms$/],
  ] as const)('an outcome without an error says nothing of one: %s', async (_, outcome, options, line) => {
    const app = await start();
    const subscription = await app.subscribe(() => outcome, options);
    subscription.deliver();
    await app.turn();
    if (outcome.type === 'dead-letter' && !('dlq' in options)) app.transport.settle(confirmed);
    await app.turn();
    expect(app.logged('warn')).toEqual([expect.stringMatching(line)]);
    expect(app.logged('warn').join()).not.toContain('undefined');
  });

  test('with dlq: false it is acked where the broker has no dead letters of its own', async () => {
    const app = await start();
    const subscription = await app.subscribe(throws(new Error('no')), { dlq: false, retry: false });
    const delivery = new FakeDelivery({});
    Object.defineProperty(delivery, 'reject', { value: undefined });
    subscription.hand(delivery);
    await app.turn();
    expect(delivery.settlements).toEqual(['ack']);
    expect(app.logged('warn')).toEqual([
      expect.stringMatching(/message m was dropped after call 1 \(dlq: false\): no$/),
    ]);
  });
});

describe('what a failed call leads to', () => {
  const NotFound = class NotFound extends Error {};
  const Busy = class Busy extends Error {};

  test.each<[string, RetryOptions | false, unknown, number, string]>([
    ['a first failure is retried', { attempts: 2, backoff: 5 }, new Error('x'), 1, 'retry 5'],
    ['the last attempt is dead-lettered', { attempts: 2, backoff: 5 }, new Error('x'), 2, 'attempts-exhausted'],
    ['retry: false is a single call', false, new Error('x'), 1, 'attempts-exhausted'],
    ['immediate retries have no wait', { immediate: 2, backoff: 5 }, new Error('x'), 2, 'retry 0'],
    [
      'and then the backoff begins at its beginning',
      { immediate: 2, backoff: (n) => n * 10 },
      new Error('x'),
      3,
      'retry 10',
    ],
    ['UnrecoverableError is not retried', {}, new UnrecoverableError(), 1, 'unrecoverable'],
    ['RetryLaterError sets the wait', { backoff: 5 }, new RetryLaterError(77), 1, 'retry 77'],
    ['RetryLaterError spends an attempt', { attempts: 2 }, new RetryLaterError(77), 2, 'attempts-exhausted'],
    ['RetryLaterError with NaN is at once', {}, new RetryLaterError(NaN), 1, 'retry 0'],
    ['RetryLaterError with a fraction is rounded', {}, new RetryLaterError(1.4), 1, 'retry 1'],
    ['a class that is unrecoverable', { unrecoverable: [NotFound] }, new NotFound(), 1, 'unrecoverable'],
    ['another class is retried', { unrecoverable: [NotFound], backoff: 5 }, new Busy(), 1, 'retry 5'],
    ['only: this class is retried', { only: [Busy], backoff: 5 }, new Busy(), 1, 'retry 5'],
    ['only: others are not', { only: [Busy] }, new NotFound(), 1, 'unrecoverable'],
    ['only: RetryLaterError is always retried', { only: [Busy] }, new RetryLaterError(5), 1, 'retry 5'],
    ['a backoff of false ends it', { backoff: () => false }, new Error('x'), 1, 'attempts-exhausted'],
    ['a backoff of NaN ends it', { backoff: () => NaN }, new Error('x'), 1, 'attempts-exhausted'],
    ['a negative backoff is at once', { backoff: () => -5 }, new Error('x'), 1, 'retry 0'],
    ['a backoff of nothing ends it', { backoff: (() => undefined) as never }, new Error('x'), 1, 'attempts-exhausted'],
    ['an endless backoff is cut', { backoff: () => Infinity }, new Error('x'), 1, `retry ${2 ** 31 - 1}`],
    [
      'a backoff that throws dead-letters the message',
      { backoff: throws(new Error('policy')) },
      new Error('x'),
      1,
      'attempts-exhausted',
    ],
    ['an Outcome that is returned decides', {}, Outcome.retry(123), 1, 'retry 123'],
    ['… to dead-letter', {}, Outcome.deadLetter('unrecoverable'), 1, 'unrecoverable'],
    ['… to call later without spending an attempt', {}, Outcome.defer(50), 1, 'defer 50'],
  ])('%s', async (_, retry, error, attempt, expected) => {
    const app = await start();
    const subscription = await app.subscribe(
      () => {
        if (error instanceof Outcome) return error;
        throw error;
      },
      { retry },
    );
    subscription.deliver({ direct: true, headers: { 'messaging-attempt': attempt } });
    await app.turn();
    const { to, dueAt, message } = app.transport.last;
    const delay = dueAt === undefined ? 0 : dueAt - app.clock.now();
    const found =
      to.kind === 'dead-letter'
        ? message.headers['messaging-reason']
        : `${message.headers['messaging-attempt'] === attempt ? 'defer' : 'retry'} ${delay}`;
    expect(found).toBe(expected);
  });

  test('the backoff function learns the attempt that failed and its error', async () => {
    const calls: unknown[] = [];
    const error = new Error('x');
    const app = await failing(error, { backoff: (...args) => calls.push(args) });
    app.transport.subscriptions[0].deliver({ direct: true, headers: { 'messaging-attempt': 4 } });
    await app.turn();
    expect(calls).toEqual([[4, error]]);
  });

  test('a message is called as often as the policy says and no more', async () => {
    const app = await start();
    let calls = 0;
    const subscription = await app.subscribe(() => Promise.reject(new Error(`${++calls}`)), {
      retry: { attempts: 5, backoff: 1 },
    });
    app.transport.answer = () => confirmed;
    subscription.deliver({ id: 'a' });
    for (;;) {
      await app.turn();
      const { to, message } = app.transport.last;
      if (to.kind === 'dead-letter') break;
      subscription.deliver({ ...message, direct: true });
    }
    expect(calls).toBe(5);
    expect(app.transport.last.message.headers).toMatchObject({
      'messaging-attempt': 5,
      'messaging-error-message': '5',
    });
  });
});

describe('the attempt travels in the message', () => {
  test.each<[string, unknown, boolean, number]>([
    ['a number', 3, true, 3],
    ['a text of digits', '3', true, 3],
    ['missing', undefined, true, 1],
    ['negative', -2, true, 1],
    ['zero', 0, true, 1],
    ['a fraction', 2.5, true, 1],
    ['not a number', 'many', true, 1],
    ['exponent', '1e3', true, 1],
    ['huge', 10 ** 15, true, 1],
    ['infinite', Infinity, true, 1],
    ['an object', { n: 3 }, true, 1],
    ['on a routed delivery, where anybody can write it', 3, false, 1],
  ])('%s', async (_, value, direct, attempt) => {
    const app = await start();
    const seen: number[] = [];
    const subscription = await app.subscribe((_payload, context) => seen.push(context.attempt));
    const delivered = app.record('delivered');
    subscription.deliver({ direct, headers: value === undefined ? {} : { 'messaging-attempt': value as never } });
    await app.turn();
    expect(seen).toEqual([attempt]);
    expect(delivered).toEqual([expect.objectContaining({ attempt })]);
  });

  test('where a copy came from first survives every further copy, but only what we wrote is believed', async () => {
    const app = await failing(new Error('x'));
    const headers = { 'messaging-origin-topic': 'events', 'messaging-origin-route': 'order.old' };
    app.transport.subscriptions[0].deliver({ direct: true, headers });
    await app.turn();
    expect(app.transport.last.message.headers).toMatchObject(headers);
    app.transport.subscriptions[0].deliver({ direct: false, topic: 'real', headers });
    await app.turn();
    expect(app.transport.last.message.headers).toMatchObject({
      'messaging-origin-topic': 'real',
      'messaging-origin-route': 'order.created',
    });
  });
});

describe('messages that need no handler call', () => {
  test('an expired one goes to its dead letters', async () => {
    const app = await start();
    let calls = 0;
    const subscription = await app.subscribe(() => calls++);
    subscription.deliver({ headers: { 'messaging-expires-at': app.clock.now() } });
    await app.turn();
    expect(app.transport.last.message.headers).toMatchObject({
      'messaging-reason': 'expired',
      'messaging-error-code': 'MESSAGE_EXPIRED',
    });
    const alive = subscription.deliver({ headers: { 'messaging-expires-at': app.clock.now() + 1 } });
    const malformed = subscription.deliver({ headers: { 'messaging-expires-at': 'soon' } });
    await app.turn();
    expect(calls).toBe(2);
    expect([alive.settlements, malformed.settlements]).toEqual([['ack'], ['ack']]);
  });

  test('with a delay the first handling is deferred, once, without spending an attempt', async () => {
    const app = await start();
    const attempts: number[] = [];
    const subscription = await app.subscribe((_, { attempt }) => attempts.push(attempt), { delay: 2_000 });
    const delivery = subscription.deliver();
    await app.turn();
    expect(app.transport.last).toMatchObject({
      to: { kind: 'queue' },
      dueAt: app.clock.now() + 2_000,
      message: { headers: { 'messaging-attempt': 1 } },
    });
    app.transport.settle(confirmed);
    await app.turn();
    expect([delivery.settlements, attempts]).toEqual([['ack'], []]);
    await app.clock.advance(2_000);
    subscription.deliver({ direct: true, headers: app.transport.last.message.headers });
    await app.turn();
    expect(attempts).toEqual([1]);
    expect(app.transport.batches).toHaveLength(1);
  });

  test('one sent straight to the queue is deferred as well', async () => {
    const app = await start();
    const subscription = await app.subscribe(() => undefined, { delay: 2_000 });
    subscription.deliver({ direct: true });
    await app.turn();
    expect(app.transport.last.dueAt).toBe(app.clock.now() + 2_000);
  });

  test('one that kills its process is a suspect at the fourth delivery: it is sent on to be called alone', async () => {
    const app = await start();
    const attempts: number[] = [];
    const subscription = await app.subscribe((_, { attempt }) => attempts.push(attempt));
    for (const deliveryCount of [0, 1, 2, 3]) subscription.deliver({ id: 'a', deliveryCount });
    await app.turn();
    expect(attempts).toEqual([1, 1, 2]);
    expect(app.transport.last).toMatchObject({
      to: { kind: 'queue' },
      message: { headers: { 'messaging-suspect': 1 } },
    });
    expect(app.transport.last.message.headers).not.toHaveProperty('messaging-reason');
  });

  test('… and is dead-lettered as crashed when two calls alone ended without a result, too', async () => {
    const app = await start();
    let calls = 0;
    const subscription = await app.subscribe(() => calls++);
    subscription.deliver({ id: 'a', deliveryCount: 1, direct: true, headers: { 'messaging-suspect': 2 } });
    await app.turn();
    expect(calls).toBe(0);
    expect(app.transport.last.message.headers).toMatchObject({
      'messaging-reason': 'crashed',
      'messaging-error-code': 'CRASHED',
      'messaging-error-message': expect.stringContaining('called alone 2 times'),
    });
    expect(app.transport.last.message.headers).not.toHaveProperty('messaging-suspect');
  });

  test('deliveries that this process gave back or lost are no crashes', async () => {
    const app = await start();
    let calls = 0;
    const subscription = await app.subscribe(() => {
      calls++;
      throw new Error('x');
    });
    for (let deliveryCount = 0; deliveryCount < 10; deliveryCount++) {
      const delivery = subscription.deliver({ id: 'a', deliveryCount });
      await app.turn();
      if (deliveryCount % 2) subscription.lose(delivery);
      app.transport.settle(failed());
      await app.turn();
    }
    expect(calls).toBe(10);
    expect(app.transport.published.every(({ to }) => to.kind === 'queue')).toBe(true);
  });

  test('a delivery that an interrupted intake took along is no crash; those beyond the interruptions are', async () => {
    const app = await start();
    const seen: string[] = [];
    const subscription = await app.subscribe((_, { id }) => seen.push(id));
    for (let n = 0; n < 3; n++) subscription.state(false, 'cut');
    subscription.deliver({ id: 'unseen', deliveryCount: 5 });
    subscription.deliver({ id: 'kills', deliveryCount: 6 });
    await app.turn();
    expect(seen).toEqual(['unseen']);
    expect(app.transport.last.message).toMatchObject({ id: 'kills', headers: { 'messaging-suspect': 1 } });
  });

  test('a pause is no interruption', async () => {
    const app = await start();
    const seen: string[] = [];
    const subscription = await app.subscribe((_, { id }) => seen.push(id));
    app.messaging.pause('order.created');
    subscription.state(false, 'paused');
    app.messaging.resume('order.created');
    subscription.state(true);
    subscription.deliver({ id: 'kills', deliveryCount: 3 });
    await app.turn();
    expect(seen).toEqual([]);
    expect(app.transport.last.message.headers).toMatchObject({ 'messaging-suspect': 1 });
  });
});

describe('what cannot be read goes to the dead letters as it came', () => {
  const deep = `${'['.repeat(65)}${']'.repeat(65)}`;
  test.each<[string, Buffer | string, object]>([
    ['bad JSON', '{"n":', {}],
    ['an empty body', '', {}],
    ['bad UTF-8', Buffer.from([0x22, 0xff, 0x22]), { contentType: 'application/json' }],
    ['JSON that is nested too deeply', deep, {}],
    ['an unknown content type', 'x', { contentType: 'application/x-protobuf' }],
    ['an unknown content encoding', '{}', { contentEncoding: 'gzip' }],
  ])('%s', async (_, body, properties) => {
    const app = await start();
    let calls = 0;
    const subscription = await app.subscribe(() => calls++);
    subscription.deliver({ body, properties });
    await app.turn();
    const { message } = app.transport.last;
    expect(message.headers).toMatchObject({
      'messaging-reason': 'undecodable',
      'messaging-error-code': 'UNDECODABLE',
      'messaging-attempt': 1,
    });
    expect(message.body.equals(Buffer.from(body as string))).toBe(true);
    expect(message.properties).toEqual(properties);
    expect(calls).toBe(0);
  });

  test('a serializer of the application that throws means the same', async () => {
    const app = await start({
      serializer: { serialize: () => ({ body: Buffer.alloc(0) }), deserialize: throws(new TypeError('odd')) },
    });
    const subscription = await app.subscribe(() => undefined);
    subscription.deliver();
    await app.turn();
    expect(app.transport.last.message.headers).toMatchObject({
      'messaging-reason': 'undecodable',
      'messaging-error-message': expect.stringContaining('odd'),
    });
  });
});
