import { describe, expect, test } from '@jest/globals';
import type { SubscribeRequest } from '../../../../lib/consumer/subscription/subscription-options.js';
import { MessagingError } from '../../../../lib/errors/messaging-error.js';
import { memoryIdempotencyStore } from '../../../../lib/idempotency/memory-idempotency-store.js';
import { assemble } from '../../../../lib/messaging.assembly.js';
import { Messaging } from '../../../../lib/messaging.js';
import { resolveOptions } from '../../../../lib/messaging.options.js';
import { logging } from '../../../../lib/pipeline/middleware/logging.js';
import { Outcome } from '../../../../lib/pipeline/outcome.js';
import { ManualClock } from '../../../../lib/clock/manual-clock.js';
import { type Application, start } from '../../support/application.js';
import { FakeTransport, confirmed } from '../../support/fake-transport.js';

const trap = (): never => {
  throw new Error('trap');
};
/** Throws at whatever is done with it. */
const hostile = (): object =>
  new Proxy(
    {},
    { get: trap, getPrototypeOf: trap, has: trap, ownKeys: trap, getOwnPropertyDescriptor: trap, isExtensible: trap },
  );
function revoked(): object {
  const { proxy, revoke } = Proxy.revocable([], {});
  revoke();
  return proxy;
}
const getters = (error: object, ...names: string[]): object => {
  for (const name of names) Object.defineProperty(error, name, { get: trap });
  return error;
};
class CodelessError extends MessagingError {
  get code(): string {
    return trap();
  }
  get retryable(): boolean {
    return trap();
  }
}

/** What application code can throw, by what is wrong with it. */
const thrown: Record<string, () => unknown> = {
  'a Proxy that throws at every look': hostile,
  'a revoked Proxy': revoked,
  'a Proxy of an Error that throws at every look': () =>
    new Proxy(new Error('inside'), { get: trap, getPrototypeOf: trap }),
  'a Proxy that hides only what it is': () => new Proxy({}, { getPrototypeOf: trap }),
  'a Proxy whose properties throw': () => new Proxy({}, { get: trap }),
  'an object whose prototype is such a Proxy': () => Object.create(hostile()),
  'an Error whose properties throw': () =>
    getters(new Error('x'), 'stack', 'message', 'name', 'cause', 'code', 'constructor'),
  'an error of this package whose code throws': () => new CodelessError('x'),
  'an object without a prototype': () => Object.create(null),
  'an object whose text throws': () => ({ toString: trap, [Symbol.toPrimitive]: trap }),
  'a function that is a Proxy': () => new Proxy(() => 1, { get: trap, getPrototypeOf: trap }),
  'a symbol': () => Symbol('s'),
  undefined: () => undefined,
  null: () => null,
};

const silent = { log() {}, warn() {}, error() {}, debug() {} };

type Handler = (thrown: () => unknown) => Partial<SubscribeRequest> & { handler?: () => unknown };
const fails = (what: () => unknown) => (): never => {
  throw what();
};

/** Where it comes from. */
const places: Record<string, Handler> = {
  'a handler throws': (what) => ({ handler: fails(what) }),
  'an asynchronous handler throws': (what) => ({
    handler: async () => {
      throw what();
    },
  }),
  'a handler rejects late, with a timeout around it': (what) => ({
    timeout: 1_000,
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- what is no Error is the subject
    handler: () => new Promise((_, reject) => setImmediate(() => reject(what()))),
  }),
  'a handler returns Outcome.retry with it': (what) => ({ handler: () => Outcome.retry(0, what()) }),
  'a handler returns Outcome.deadLetter with it': (what) => ({
    handler: () => Outcome.deadLetter('unrecoverable', what()),
  }),
  'middleware throws': (what) => ({ middleware: [fails(what)] }),
  'the logging middleware is around it': (what) => ({
    middleware: [logging({ logger: silent })],
    handler: fails(what),
  }),
  'the backoff function throws': (what) => ({
    retry: { attempts: 3, backoff: fails(what) },
    handler: fails(() => new Error('x')),
  }),
  'the backoff function looks at it': (what) => ({
    retry: { attempts: 3, backoff: (_, error) => (error as { delay: number }).delay },
    handler: fails(what),
  }),
  'only some errors are retried': (what) => ({
    retry: { attempts: 3, backoff: 0, only: [TypeError] },
    handler: fails(what),
  }),
  'isDone throws': (what) => ({ idempotent: { store: memoryIdempotencyStore(), isDone: fails(what) } }),
  'the key of idempotent throws': (what) => ({ idempotent: { store: memoryIdempotencyStore(), key: fails(what) } }),
  'the idempotency store throws': (what) => ({
    idempotent: { store: { ...memoryIdempotencyStore(), claim: async () => fails(what)() } as never },
  }),
  'routeBy throws': (what) => ({ handles: ['order.created'], routeBy: fails(what) }),
  'routeBy returns it': (what) => ({ handles: ['order.created'], routeBy: what }) as never,
};

describe('whatever is thrown, its message is settled', () => {
  for (const [place, request] of Object.entries(places)) {
    test.each(Object.entries(thrown))(`${place}: %s`, async (_, what) => {
      const app = await observed();
      const { handler = () => undefined, ...rest } = request(what);
      const subscription = await app.subscribe(handler, rest);
      const delivery = subscription.deliver();
      await app.turn();
      expect(delivery.settlements).toEqual(['ack']);
      expect(app.transport.published.length).toBeLessThanOrEqual(1);
      expect(app.messaging.health().consumers[0].inFlight).toBe(0);
    });
  }

  test.each(Object.entries(thrown))('the last call ends in the dead letters: %s', async (_, what) => {
    const app = await observed();
    const subscription = await app.subscribe(fails(what), { retry: false });
    const delivery = subscription.deliver();
    await app.turn();
    expect(app.transport.last).toMatchObject({
      to: { kind: 'dead-letter' },
      message: { headers: { 'messaging-reason': 'attempts-exhausted' } },
    });
    expect(delivery.settlements).toEqual(['ack']);
  });

  test.each(Object.entries(thrown))('a batch handler throws: %s', async (_, what) => {
    const app = await observed();
    await app.messaging.subscribeBatch({ route: 'order.created', size: 2 }, fails(what));
    const [subscription] = app.transport.subscriptions;
    const deliveries = [subscription.deliver(), subscription.deliver()];
    await app.turn();
    expect(deliveries.map(({ settlements }) => settlements)).toEqual([['ack'], ['ack']]);
  });

  test.each(Object.entries(thrown))('a batch handler returns it for one of its entries: %s', async (_, what) => {
    const app = await observed();
    await app.messaging.subscribeBatch({ route: 'order.created', size: 2 }, (async () => [
      Outcome.ack,
      what(),
    ]) as never);
    const [subscription] = app.transport.subscriptions;
    const deliveries = [subscription.deliver({ id: 'a' }), subscription.deliver({ id: 'b' })];
    await app.turn();
    expect(deliveries.map(({ settlements }) => settlements)).toEqual([['ack'], ['ack']]);
    expect(app.transport.publishedIds).toEqual(['b']);
  });

  test.each(Object.entries(thrown))('a received message is given back with it: %s', async (_, what) => {
    const app = await observed();
    const receiver = app.messaging.receive('order.created');
    const next = receiver.next();
    await app.turn();
    const delivery = app.transport.subscriptions[0].deliver();
    const { value } = await next;
    await expect(value!.nack(what())).resolves.toBe('retry');
    expect(delivery.settlements).toEqual(['ack']);
  });
});

describe('whatever is returned, its message is settled', () => {
  const [awaitable, unaskable] = [true, false].map((can) =>
    Object.entries(thrown).filter(([, what]) => canBeAsked(what()) === can),
  );

  test.each(awaitable)('a handler returns %s, which is no Outcome: it is done', async (_, what) => {
    const app = await observed();
    const subscription = await app.subscribe(() => what());
    const delivery = subscription.deliver();
    await app.turn();
    expect(delivery.settlements).toEqual(['ack']);
    expect(app.transport.published).toEqual([]);
  });

  test.each(unaskable)('a handler returns %s, which does not say if it can be awaited: it failed', async (_, what) => {
    const app = await observed();
    const subscription = await app.subscribe(() => what());
    const delivery = subscription.deliver();
    await app.turn();
    expect(delivery.settlements).toEqual(['ack']);
    expect(app.transport.published).toMatchObject([{ to: { kind: 'queue' } }]);
  });

  test.each(Object.entries(thrown))('an asynchronous handler returns %s', async (_, what) => {
    const app = await observed();
    const subscription = await app.subscribe(async () => what());
    const delivery = subscription.deliver();
    await app.turn();
    expect(delivery.settlements).toEqual(['ack']);
  });

  test('a batch handler returns an array that cannot be read: all are retried', async () => {
    const app = await observed();
    await app.messaging.subscribeBatch(
      { route: 'order.created', size: 2 },
      () => new Proxy([], { get: trap }) as never,
    );
    const [subscription] = app.transport.subscriptions;
    const deliveries = [subscription.deliver({ id: 'a' }), subscription.deliver({ id: 'b' })];
    await app.turn();
    expect(deliveries.map(({ settlements }) => settlements)).toEqual([['ack'], ['ack']]);
    expect(app.transport.publishedIds).toEqual(['a', 'b']);
  });
});

test('a logger that throws leaves no message unsettled', async () => {
  const transport = new FakeTransport();
  transport.answer = () => confirmed;
  const clock = new ManualClock();
  const options = resolveOptions({ service: 'orders', transport, clock, retry: false });
  const log = { log: trap, warn: trap, error: trap, debug: trap };
  const messaging = new Messaging('default', options, assemble('default', options, log));
  await messaging.connect();
  transport.connected();
  await messaging.subscribe({ route: 'order.created' }, fails(hostile));
  const delivery = transport.subscriptions[0].deliver();
  await clock.advance(0);
  expect(delivery.settlements).toEqual(['ack']);
  expect(transport.last.to.kind).toBe('dead-letter');
});

test('a message whose settling fails is given back, so that its slot at the broker is free', async () => {
  const app = await observed();
  app.transport.publish = trap;
  const subscription = await app.subscribe(fails(() => new Error('x')));
  const delivery = subscription.deliver();
  await app.turn();
  expect(delivery.settlements).toEqual(['release 500']);
  expect(app.messaging.health().consumers[0].inFlight).toBe(0);
});

function canBeAsked(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  try {
    void (value as { then?: unknown }).then;
    return true;
  } catch {
    return false;
  }
}

/** An application that somebody listens to, on a broker that takes every copy. */
async function observed(): Promise<Application> {
  const app = await start({ retry: { attempts: 3, backoff: 100 } });
  app.transport.answer = () => confirmed;
  for (const name of ['settled', 'dead-lettered', 'store-error'] as const) app.record(name);
  return app;
}
