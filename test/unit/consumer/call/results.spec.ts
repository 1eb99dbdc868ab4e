import { describe, expect, test } from '@jest/globals';
import { defer, EMPTY, NEVER, of, throwError } from 'rxjs';
import { memoryIdempotencyStore } from '../../../../lib/idempotency/memory-idempotency-store.js';
import { Outcome } from '../../../../lib/pipeline/outcome.js';
import { type Application, start } from '../../support/application.js';
import { confirmed } from '../../support/fake-transport.js';

/** Every place that awaits what a handler gives. */
const PLACES: Record<string, object> = {
  'a plain subscription': {},
  'behind middleware': { middleware: [(_: unknown, next: () => Promise<unknown>) => next()] },
  'with a timeout': { timeout: 60_000 },
  'with idempotent': { idempotent: { store: memoryIdempotencyStore() } },
};

/** Handlers of which nobody but the library runs `work`, whose end is the end of the call. */
const FORMS: Record<string, (work: () => Promise<unknown>) => unknown> = {
  'an Observable': (work) => defer(work),
  'a promise of an Observable': async (work) => defer(work),
  'an Observable of an Observable': (work) => of(defer(work)),
  'an Observable of a promise of an Observable': (work) => of(Promise.resolve(defer(work))),
  'a thenable': (work) => ({ then: (yes: (value: unknown) => void, no: () => void) => void work().then(yes, no) }),
};

const CASES = Object.keys(PLACES).flatMap((place) => Object.keys(FORMS).map((form) => [place, form] as const));

async function application(): Promise<Application> {
  const app = await start({ retry: { attempts: 2, backoff: 0 } });
  app.transport.answer = () => confirmed;
  return app;
}

async function call(handler: () => unknown, options: object = {}) {
  const app = await application();
  const settled = app.record('settled');
  const subscription = await app.subscribe(handler, options);
  const delivery = subscription.deliver({ id: 'm' });
  for (let turn = 0; turn < 5; turn++) await app.turn();
  return { app, delivery, settled };
}

describe.each(CASES)('%s: a handler that gives %s', (place, form) => {
  test('is done when that ends', async () => {
    let ran = 0;
    const { settled } = await call(() => FORMS[form](async () => void ran++), PLACES[place]);
    expect(ran).toBe(1);
    expect(settled).toMatchObject([{ outcome: 'ack' }]);
  });

  test('has failed when that fails', async () => {
    const fail = () => FORMS[form](() => Promise.reject(new Error('late')));
    const { settled } = await call(fail, PLACES[place]);
    expect(settled).toMatchObject([{ outcome: 'retry', error: { message: 'late' } }]);
  });

  test('decides by an Outcome at its end', async () => {
    const { settled } = await call(
      () => FORMS[form](async () => Outcome.deadLetter('unrecoverable', new Error('no'))),
      PLACES[place],
    );
    expect(settled).toMatchObject([{ outcome: 'dead-letter' }]);
  });

  test('is not acked before that ends', async () => {
    const { delivery } = await call(() => FORMS[form](() => new Promise(() => {})), PLACES[place]);
    expect(delivery.settlements).toEqual([]);
  });
});

test.each([
  ['an Observable', () => defer(async () => Outcome.discard())],
  ['a promise of an Observable', async () => defer(async () => Outcome.discard())],
])('middleware that gives %s decides by what it ends in', async (_, middleware) => {
  const { settled } = await call(() => undefined, { middleware: [middleware] });
  expect(settled).toMatchObject([{ outcome: 'discard' }]);
});

test('middleware gets from next() what an Observable of the handler ends in', async () => {
  const seen: unknown[] = [];
  const middleware = async (_: unknown, next: () => Promise<unknown>) => void seen.push(await next());
  await call(async () => of(1, 2), { middleware: [middleware] });
  expect(seen).toEqual([2]);
});

test('an Observable that never completes ends with the timeout, and is retried', async () => {
  const { app, settled } = await call(async () => NEVER, { timeout: 1_000 });
  expect(settled).toEqual([]);
  await app.clock.advance(1_000);
  expect(settled).toMatchObject([{ outcome: 'retry', error: { code: 'HANDLER_TIMEOUT' } }]);
});

test('an empty Observable is done', async () => {
  expect((await call(async () => EMPTY)).settled).toMatchObject([{ outcome: 'ack' }]);
});

describe('an object that throws when it is looked at', () => {
  const boom = (): never => {
    throw new Error('looked at');
  };
  const getter = (name: string) => Object.defineProperty({}, name, { get: boom });
  const ways = (name: string) => [() => getter(name), async () => defer(async () => getter(name))];
  test('at its «then» is a failed call, as it is for await', async () => {
    for (const handler of ways('then'))
      expect((await call(handler)).settled).toMatchObject([{ outcome: 'retry', error: { message: 'looked at' } }]);
  });
  test.each(['lift', 'next'])('at its «%s» is a result like any other', async (name) => {
    for (const handler of ways(name)) expect((await call(handler)).settled).toMatchObject([{ outcome: 'ack' }]);
  });
});

describe('a generator, which nobody runs,', () => {
  function* sync(): Generator<number> {
    yield 1;
  }
  async function* asynchronous(): AsyncGenerator<number> {
    yield 1;
  }
  test.each([sync, asynchronous, async () => sync()])('is an error that says so: %p', async (handler) => {
    const { settled } = await call(handler);
    expect(settled).toMatchObject([{ outcome: 'dead-letter', error: { code: 'INVALID_RESULT' } }]);
    expect((settled[0].error as Error).message).toMatch(/generator, which nobody runs/);
  });
});

describe('a batch handler', () => {
  async function batch(handler: () => unknown, options: object = {}) {
    const app = await application();
    const settled = app.record('settled');
    await app.messaging.subscribeBatch({ route: 'order.created', size: 2, ...options }, handler as never);
    for (const id of ['a', 'b']) app.transport.subscriptions.at(-1)!.deliver({ id });
    for (let turn = 0; turn < 5; turn++) await app.turn();
    return settled.map(({ outcome }) => outcome);
  }

  test.each(Object.keys(PLACES))('%s: what an Observable ends in holds for its messages', async (place) => {
    let ran = 0;
    const list = async () => (ran++, [Outcome.ack, Outcome.discard()]);
    expect(await batch(() => defer(list), PLACES[place])).toEqual(['ack', 'discard']);
    expect(await batch(async () => defer(list), PLACES[place])).toEqual(['ack', 'discard']);
    expect(ran).toBe(2);
  });

  test('that gives a promise of an Observable that fails has failed', async () => {
    expect(await batch(async () => throwError(() => new Error('late')))).toEqual(['retry', 'retry']);
  });
});
