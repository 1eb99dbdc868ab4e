import { describe, expect, test } from '@jest/globals';
import type { MessagingModuleOptions } from '../../../lib/messaging.options.js';
import { resolveOptions } from '../../../lib/messaging.options.js';
import { type Application, start, type Tracked } from '../support/application.js';
import { confirmed, failed, unroutable } from '../support/fake-transport.js';

const ENTRY_BYTES = 512;

function batching(
  options: MessagingModuleOptions['batching'],
  more: MessagingModuleOptions = {},
): Promise<Application> {
  return start({ batching: options, ...more });
}

function publish(app: Application, ...ids: string[]): Tracked[] {
  return ids.map((id) => app.publish('r', 1, { id }));
}

const batches = (app: Application): string[][] =>
  app.transport.batches.map((batch) => batch.map(({ message }) => message.id));

describe('with «batching», publishes go to the broker together', () => {
  test('as soon as there are so many messages', async () => {
    const app = await batching({ messages: 3, maxAge: 1_000 });
    publish(app, 'a', 'b');
    expect(batches(app)).toEqual([]);
    publish(app, 'c', 'd');
    expect(batches(app)).toEqual([['a', 'b', 'c']]);
  });

  test('as soon as they have so many bytes, and a larger one goes alone', async () => {
    const app = await batching({ messages: 100, bytes: 2_000 + 3 * ENTRY_BYTES, maxAge: 1_000 });
    const of = (id: string, size: number): void => void app.publish('r', Buffer.alloc(size), { id });
    of('a', 900);
    of('b', 900);
    expect(batches(app)).toEqual([]);
    of('c', 900);
    expect(batches(app)).toEqual([['a', 'b']]);
    of('large', 9_000);
    expect(batches(app)).toEqual([['a', 'b'], ['c'], ['large']]);
    of('d', 1_000);
    of('e', 1_000 + ENTRY_BYTES);
    expect(batches(app).at(-1)).toEqual(['d', 'e']);
  });

  test('when the first of them is so old: later ones do not put it off, and there is one timer', async () => {
    const app = await batching({ messages: 100, maxAge: 50 });
    const timers = app.clock.timerCount;
    publish(app, 'a');
    await app.clock.advance(40);
    publish(app, 'b', 'c');
    expect(app.clock.timerCount).toBe(timers + 1);
    await app.clock.advance(9);
    expect(batches(app)).toEqual([]);
    await app.clock.advance(1);
    expect(batches(app)).toEqual([['a', 'b', 'c']]);
    expect(app.clock.timerCount).toBe(timers);
    publish(app, 'd');
    await app.clock.advance(50);
    expect(batches(app).at(-1)).toEqual(['d']);
  });

  test('each gets its own result, and only what failed is sent again', async () => {
    const app = await batching({ messages: 4 }, { unroutable: 'reject' });
    const [a, b, c, d] = publish(app, 'a', 'b', 'c', 'd');
    app.transport.settle(confirmed, 'b');
    app.transport.settle(failed(), 'a');
    app.transport.settle(unroutable(), 'c');
    await app.turn();
    expect([a.state, b.state, c.state, d.state]).toEqual(['queued', 'confirmed', 'rejected', 'pending']);
    await app.clock.advance(1_000);
    expect(batches(app)).toEqual([['a', 'b', 'c', 'd'], ['a']]);
  });

  test('emit and sendToQueue take part, and what comes through the middleware', async () => {
    const app = await batching({ messages: 3 }, { publishMiddleware: [(request, next) => next(request)] });
    app.publisher.emit('r', 1, { id: 'a' });
    void app.publisher.sendToQueue('q', 1, { id: 'b' });
    publish(app, 'c');
    await app.turn();
    expect(batches(app)).toEqual([['a', 'b', 'c']]);
  });

  test('publishMany does not overtake what was published before, and is not held up itself', async () => {
    const app = await batching({ messages: 10, maxAge: 1_000 });
    publish(app, 'a');
    void app.publisher.publishMany([{ route: 'r', body: 1, id: 'b' }]);
    expect(app.transport.publishedIds).toEqual(['a', 'b']);
  });

  test('the order of a key is kept, also behind what waits in the retry queue and with «ordered»', async () => {
    const app = await batching({ messages: 2 });
    app.transport.disconnected();
    const keyed = (id: string, ordered = false): Tracked => app.publish('r', 1, { id, key: 'k', ordered });
    keyed('a');
    keyed('b');
    await app.turn();
    app.transport.connected();
    keyed('c');
    keyed('d');
    app.transport.answer = () => confirmed;
    app.transport.settleAll(confirmed);
    await app.clock.advance(3_000);
    expect(app.transport.publishedIds.filter((id, at, all) => all.indexOf(id) === at)).toEqual(['a', 'b', 'c', 'd']);
    app.transport.answer = () => undefined;
    keyed('e', true);
    keyed('f', true);
    expect(app.transport.pendingIds).toEqual(['e']);
    app.transport.settle(confirmed);
    expect(app.transport.pendingIds).toEqual(['f']);
  });

  test('while there is no connection they are queued together', async () => {
    const app = await batching({ messages: 2 });
    app.transport.disconnected();
    const all = publish(app, 'a', 'b', 'c');
    await app.clock.advance(5);
    expect(all.map(({ state }) => state)).toEqual(['queued', 'queued', 'queued']);
    expect(app.retryQueue.depth).toBe(3);
  });

  test('the bounds hold: what has no room is rejected by itself', async () => {
    const app = await batching({ messages: 3 }, { retryQueue: { maxMessages: 4 } });
    const all = publish(app, 'a', 'b', 'c', 'd', 'e', 'f');
    await app.turn();
    expect(all.map(({ state }) => state)).toEqual(['pending', 'pending', 'pending', 'pending', 'rejected', 'rejected']);
    expect(all[5].error).toMatchObject({ code: 'RETRY_QUEUE_FULL' });
  });

  test('cancel finds what was published just before', async () => {
    const app = await batching({ maxAge: 1_000 }, { retryQueue: { delayed: true } });
    const [tracked] = [app.publish('r', 1, { id: 'a', delay: 60_000 })];
    expect(await app.publisher.cancel('a')).toBe(true);
    await app.turn();
    expect(tracked).toMatchObject({ state: 'queued', settled: 'PUBLISH_CANCELLED' });
  });

  test('a shutdown sends what was gathered, and refuses the rest', async () => {
    const app = await batching({ messages: 100, maxAge: 60_000 });
    app.transport.answer = () => confirmed;
    const all = publish(app, 'a', 'b', 'c');
    await app.turn();
    const closing = app.messaging.close();
    await app.turn();
    await closing;
    const late = app.publish('r', 1);
    await app.turn();
    expect(batches(app)).toEqual([['a', 'b', 'c']]);
    expect([...all, late].map(({ state }) => state)).toEqual(['confirmed', 'confirmed', 'confirmed', 'rejected']);
    expect(app.clock.pending).toBe(0);
  });
});

describe('«batching»', () => {
  test('is off, and has defaults within the bounds', () => {
    expect(resolveOptions({}).batching).toBeUndefined();
    expect(resolveOptions({ batching: {} }).batching).toEqual({ messages: 100, bytes: 2 ** 20, maxAge: 5 });
    expect(resolveOptions({ batching: {}, maxInFlight: 10, retryQueue: { maxBytes: 5_000 } }).batching).toEqual({
      messages: 10,
      bytes: 5_000,
      maxAge: 5,
    });
  });

  test.each([
    [{ messages: 0 }, {}, /«batching.messages».*whole number/],
    [{ messages: 2_001 }, {}, /«batching.messages».*at most 2000.*«maxInFlight».*raise those, or lower it/],
    [{ messages: 100 }, { retryQueue: { maxMessages: 50 } }, /«batching.messages».*at most 50/],
    [{ bytes: 2 ** 30 }, {}, /«batching.bytes».*raise «retryQueue.maxBytes», or lower it/],
    [{ maxAge: 0 }, {}, /«batching.maxAge»/],
    [{ maxAge: 60_001 }, {}, /«batching.maxAge»/],
    [{ size: 5 }, {}, /«batching.size».*there are: messages, bytes, maxAge/],
    [false, {}, /«batching».*an object/],
  ])('%j beside %j is refused', (options, more, expected) => {
    expect(() => resolveOptions({ batching: options as object, ...more })).toThrow(expected);
  });
});
