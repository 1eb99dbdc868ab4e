import { afterEach, describe, expect, test } from '@jest/globals';
import { partitioned } from '../../../lib/consumer/schedule/partitioned.js';
import { IdempotencyStoreError } from '../../../lib/errors/handling-errors.js';
import type { IdempotencyStore, IdempotencyStoreFactory } from '../../../lib/idempotency/idempotency-store.js';
import { memoryIdempotencyStore } from '../../../lib/idempotency/memory-idempotency-store.js';
import type { MessageContext } from '../../../lib/pipeline/message-context.js';
import { Outcome } from '../../../lib/pipeline/outcome.js';
import { exponential } from '../../../lib/retry/backoff.js';
import { type Application, deferred, start } from '../support/application.js';
import { FakeTransport, confirmed } from '../support/fake-transport.js';

/** A store for several applications, that can be made to fail. */
class SharedStore implements IdempotencyStoreFactory {
  readonly kind = 'shared';
  readonly calls: string[] = [];
  down = new Set<keyof IdempotencyStore>();
  private store: IdempotencyStore | undefined;

  create(environment: Parameters<IdempotencyStoreFactory['create']>[0]): IdempotencyStore {
    const store = (this.store ??= memoryIdempotencyStore().create(environment));
    const watched = (name: 'claim' | 'renew' | 'complete' | 'release') =>
      (async (...args: [string, string, number]) => {
        this.calls.push(`${name} ${args[0]}`);
        if (this.down.has(name)) throw new Error('no answer');
        return store[name](...args);
      }) as never;
    return {
      claim: watched('claim'),
      renew: watched('renew'),
      complete: watched('complete'),
      release: watched('release'),
      close: () => store.close(),
    };
  }
}

let apps: Application[] = [];
afterEach(() => void (apps = []));

async function idempotent(options: object = {}, more: object = {}, store = new SharedStore()) {
  const app = await start({ retry: { attempts: 3, backoff: 1_000 }, idempotencyStore: store }, new FakeTransport());
  apps.push(app);
  app.transport.answer = () => confirmed;
  const calls: { context: MessageContext; end: ReturnType<typeof deferred<unknown>> }[] = [];
  const subscription = await app.subscribe(
    (_, context) => {
      const end = deferred<unknown>();
      calls.push({ context, end });
      return end.promise;
    },
    { idempotent: { ...options }, ...more },
  );
  const counts = () => app.messaging.health().consumers[0].idempotency;
  return { app, store, subscription, calls, counts };
}

const KEY = 'orders:order.created:queue.m';

describe('an idempotent subscription', () => {
  test('claims before its handler, and says done after it, before the ack', async () => {
    const { app, store, subscription, calls } = await idempotent();
    const delivery = subscription.deliver({ id: 'm' });
    await app.turn();
    expect(store.calls).toEqual([`claim ${KEY}`]);
    expect(delivery.settlements).toEqual([]);
    calls[0].end.resolve(undefined);
    await app.turn();
    expect(store.calls).toEqual([`claim ${KEY}`, `complete ${KEY}`]);
    expect(delivery.settlements).toEqual(['ack']);
    expect(app.clock.pending).toBe(0);
  });

  test('acks a duplicate of a finished message without a call, and counts it', async () => {
    const { app, subscription, calls, counts } = await idempotent();
    const duplicates = app.record('duplicate');
    subscription.deliver({ id: 'm' });
    await app.turn();
    calls[0].end.resolve(undefined);
    await app.turn();
    const again = subscription.deliver({ id: 'm' });
    await app.turn();
    expect([calls.length, again.settlements]).toEqual([1, ['ack']]);
    expect(counts()).toEqual({ duplicates: 1, deferred: 0, withoutKey: 0, storeErrors: 0 });
    expect(duplicates).toEqual([{ id: 'm', queue: 'orders:order.created:queue', key: KEY, state: 'done' }]);
  });

  test('puts off a duplicate of a running message, neither acked nor run, and with no attempt spent', async () => {
    const { app, subscription, calls, counts } = await idempotent({ lease: 3_000 });
    subscription.deliver({ id: 'm' });
    await app.turn();
    const again = subscription.deliver({ id: 'm', direct: true, headers: { 'messaging-attempt': 2 } });
    await app.turn();
    expect(calls).toHaveLength(1);
    expect(app.transport.last).toMatchObject({
      to: { kind: 'queue' },
      message: { headers: { 'messaging-attempt': 2 } },
    });
    expect(app.transport.last.dueAt! - app.clock.now()).toBe(3_000);
    expect(again.settlements).toEqual(['ack']); // after its copy was confirmed
    expect(counts()).toMatchObject({ duplicates: 0, deferred: 1 });
  });

  test('a throw frees the key, and so do an unrecoverable error, a timeout and an Outcome that is no ack', async () => {
    const { app, subscription, calls } = await idempotent({}, { timeout: 500, retry: false });
    const ends = [
      (at: number) => calls[at].end.reject(new Error('x')),
      (at: number) => calls[at].end.resolve(Outcome.retry(5)),
      (at: number) => calls[at].end.resolve(Outcome.discard()),
      () => undefined,
    ];
    for (const [at, end] of ends.entries()) {
      subscription.deliver({ id: 'm' });
      await app.turn();
      expect(calls).toHaveLength(at + 1);
      end(at);
      await app.clock.advance(500);
    }
    subscription.deliver({ id: 'm' });
    await app.turn();
    expect(calls).toHaveLength(ends.length + 1);
  });

  test('the retry of a failed message is handled, and then it is done', async () => {
    const { app, subscription, calls, counts } = await idempotent();
    subscription.deliver({ id: 'm' });
    await app.turn();
    calls[0].end.reject(new Error('x'));
    await app.turn();
    const retry = subscription.deliver({ id: 'm', direct: true, headers: { 'messaging-attempt': 2 } });
    await app.turn();
    calls[1].end.resolve(undefined);
    await app.turn();
    expect(retry.settlements).toEqual(['ack']);
    expect(counts()).toMatchObject({ duplicates: 0, deferred: 0 });
  });

  test('renews its lease while the handler runs, and no longer', async () => {
    const { app, store, subscription, calls } = await idempotent({ lease: 900 });
    const timers = app.clock.timerCount;
    subscription.deliver({ id: 'm' });
    await app.clock.advance(5_000);
    const other = await idempotent({ lease: 900 }, {}, store);
    expect(await store.create({ clock: app.clock }).claim(KEY, 'other', 900)).toMatchObject({ state: 'in-progress' });
    calls[0].end.resolve(undefined);
    await app.turn();
    const before = store.calls.length;
    await app.clock.advance(5_000);
    expect(store.calls.length).toBe(before);
    expect(app.clock.timerCount).toBe(timers);
    expect(other.calls).toEqual([]);
  });

  test('a crash frees the key with its lease: the redelivered message is handled elsewhere', async () => {
    const store = new SharedStore();
    const dead = await idempotent({ lease: 1_000 }, {}, store);
    dead.subscription.deliver({ id: 'm' });
    await dead.app.turn();
    store.down.add('renew'); // its process ends here
    await dead.app.clock.advance(1_000);
    const alive = await idempotent({ lease: 1_000 }, {}, store);
    alive.subscription.deliver({ id: 'm', deliveryCount: 1 });
    await alive.app.turn();
    expect(alive.calls).toHaveLength(1);
  });

  test('a lease that another has taken aborts the signal; the late result changes nothing of the other’s claim', async () => {
    const store = new SharedStore();
    const { app, subscription, calls } = await idempotent({ lease: 900 }, {}, store);
    subscription.deliver({ id: 'm' });
    await app.turn();
    store.down.add('renew');
    await app.clock.advance(1_000);
    store.down.clear();
    const shared = store.create({ clock: app.clock });
    expect(await shared.claim(KEY, 'other', 60_000)).toEqual({ state: 'acquired' });
    await app.clock.advance(300);
    expect(calls[0].context.signal.aborted).toBe(true);
    calls[0].end.resolve(undefined);
    await app.turn();
    expect(await shared.claim(KEY, 'third', 60_000)).toMatchObject({ state: 'in-progress' });
    expect(app.logged('warn').join()).toContain('may be handled twice');
  });

  test('with the store down a message is put off, unhandled, with no attempt spent, and the failure is told', async () => {
    const { app, store, subscription, calls, counts } = await idempotent();
    const errors = app.record('store-error');
    store.down.add('claim');
    subscription.deliver({ id: 'm' });
    await app.turn();
    expect(calls).toEqual([]);
    expect(app.transport.last).toMatchObject({ message: { id: 'm', headers: { 'messaging-attempt': 1 } } });
    expect(app.transport.last.dueAt! - app.clock.now()).toBe(5_000);
    expect(counts()).toMatchObject({ storeErrors: 1 });
    expect(errors).toMatchObject([{ operation: 'idempotency claim', error: expect.any(IdempotencyStoreError) }]);
  });

  test('a message whose «done» cannot be recorded is acked all the same, after some tries: its handler has run', async () => {
    const { app, store, subscription, calls } = await idempotent();
    store.down.add('complete');
    const delivery = subscription.deliver({ id: 'm' });
    await app.turn();
    calls[0].end.resolve(undefined);
    await app.clock.advance(1_099);
    expect(delivery.settlements).toEqual([]);
    await app.clock.advance(1);
    expect(delivery.settlements).toEqual(['ack']);
    expect(store.calls.filter((call) => call.startsWith('complete'))).toHaveLength(3);
    expect(app.logged('error').join()).toContain('is not recorded');
  });

  test('a message without an id is handled, counted, and warned of once', async () => {
    const { app, subscription, calls, counts } = await idempotent();
    for (let n = 0; n < 3; n++) subscription.deliver({ id: '' });
    await app.turn();
    expect(calls).toHaveLength(3);
    expect(counts()).toMatchObject({ withoutKey: 3 });
    expect(app.logged('warn').filter((line) => line.includes('without an id'))).toHaveLength(1);
  });

  test('`key` says what makes two messages the same', async () => {
    const { app, subscription, calls } = await idempotent({ key: ({ payload }: any) => String(payload.n) });
    subscription.deliver({ id: 'a', body: '{"n":1}' });
    await app.turn();
    calls[0].end.resolve(undefined);
    await app.turn();
    subscription.deliver({ id: 'b', body: '{"n":1}' });
    subscription.deliver({ id: 'c', body: '{"n":2}' });
    await app.turn();
    expect(calls.map(({ context }) => context.id)).toEqual(['a', 'c']);
  });

  test('`isDone` is asked with the key claimed: true acks without a call, a throw is a failed call', async () => {
    let answer: () => boolean = () => true;
    const { app, store, subscription, calls, counts } = await idempotent({ isDone: () => answer() });
    const known = subscription.deliver({ id: 'known' });
    await app.turn();
    expect([calls.length, known.settlements]).toEqual([0, ['ack']]);
    expect(counts()).toMatchObject({ duplicates: 1 });
    answer = () => {
      throw new Error('database down');
    };
    subscription.deliver({ id: 'm' });
    await app.turn();
    expect(app.transport.last.message.headers).toMatchObject({ 'messaging-attempt': 2 });
    expect(store.calls.at(-1)).toBe(`release ${KEY}`);
  });

  test('with lanes a duplicate of what runs elsewhere is waited for in place, and order is kept', async () => {
    const store = new SharedStore();
    const { app, subscription, calls } = await idempotent({ lease: 1_000 }, { concurrency: partitioned() }, store);
    await store.create({ clock: app.clock }).claim(KEY, 'other', 300);
    const headers = { 'messaging-key': 'k' };
    const first = subscription.deliver({ id: 'm', headers });
    subscription.deliver({ id: 'n', headers });
    await app.turn();
    expect([calls.length, first.settlements]).toEqual([0, []]);
    await app.clock.advance(300);
    expect(calls.map(({ context }) => [context.id, context.attempt])).toEqual([['m', 1]]);
  });

  test('the queue is part of the key: two groups handle a message once each', async () => {
    const store = new SharedStore();
    const one = await idempotent({}, {}, store);
    const two = await idempotent({}, { group: 'audit' }, store);
    for (const { app, subscription, calls } of [one, two]) {
      subscription.deliver({ id: 'm' });
      await app.turn();
      expect(calls).toHaveLength(1);
      calls[0].end.resolve(undefined);
      await app.turn();
    }
  });
});

describe('the options', () => {
  test('a window shorter than the retries take is refused, with the arithmetic', async () => {
    const retry = { attempts: 4, backoff: exponential({ initial: 1_000, factor: 4, max: 10_000, jitter: 0.5 }) };
    const window = 17_499;
    await expect(idempotent({ window }, { retry })).rejects.toThrow('(1500 + 6000 + 10000 = 17500 ms)');
    await expect(idempotent({ window: 17_500 }, { retry })).resolves.toBeDefined();
  });

  test('a window shorter than the retries and the wait for a redrive is refused, with the arithmetic', async () => {
    const retry = { attempts: 3, backoff: 1_000 };
    await expect(idempotent({ window: 5_999, redriveWithin: 4_000 }, { retry })).rejects.toThrow(
      /6000 or more.*\(1000 \+ 1000 = 2000 ms\) and then wait as a dead letter \(«redriveWithin», 4000 ms\)/,
    );
    await expect(idempotent({ window: 6_000, redriveWithin: 4_000 }, { retry })).resolves.toBeDefined();
    const own = { backoff: () => 1e6 };
    await expect(idempotent({ window: 3_999, redriveWithin: 4_000 }, { retry: own })).rejects.toThrow('4000 or more');
    await expect(idempotent({ redriveWithin: 4_000 }, { dlq: false })).rejects.toThrow(/left out with «dlq: false»/);
  });

  test('the waits of many attempts are not all written down', async () => {
    const retry = { attempts: 200, backoff: 1_000_000 };
    await expect(idempotent({}, { retry })).rejects.toThrow(/1000000 \+ … \+ 1000000 = 199000000 ms/);
  });

  test('a backoff function of one’s own, or none, is not added up', async () => {
    await expect(idempotent({ window: 1 }, { retry: { backoff: () => 1e6 } })).resolves.toBeDefined();
    await expect(idempotent({ window: 1 }, { retry: false })).resolves.toBeDefined();
  });

  test.each([
    [{ window: 0 }, 'idempotent.window'],
    [{ redriveWithin: -1 }, 'idempotent.redriveWithin'],
    [{ lease: 5 }, 'idempotent.lease'],
    [{ key: 'id' }, 'idempotent.key'],
    [{ isDone: true }, 'idempotent.isDone'],
    [{ store: {} }, 'idempotent.store'],
    [{ ttl: 5 }, 'idempotent.ttl'],
  ])('%p is refused', async (options, option) => {
    await expect(idempotent(options)).rejects.toMatchObject({ code: 'INVALID_OPTION', option });
  });

  test('a subscription whose store cannot be opened does not start', async () => {
    const store: IdempotencyStoreFactory = {
      kind: 'broken',
      create: () => ({ open: () => Promise.reject(new IdempotencyStoreError('no disk')) }) as never,
    };
    await expect(idempotent({ store })).rejects.toMatchObject({ code: 'IDEMPOTENCY_STORE' });
  });

  test('`idempotent: true` and false', async () => {
    const on = await idempotent({}, { idempotent: true });
    expect(on.counts()).toBeDefined();
    const off = await idempotent({}, { idempotent: false });
    expect(off.counts()).toBeUndefined();
    expect(off.store.calls).toEqual([]);
  });
});
