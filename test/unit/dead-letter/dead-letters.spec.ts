import { describe, expect, test } from '@jest/globals';
import type { DeadLetterSelection } from '../../../lib/dead-letter/dead-letter-selection.js';
import { start } from '../support/application.js';
import { DLQ, letter, lettersIn, withLetters } from '../support/dead-letters.js';
import { confirmed, failed, unroutable } from '../support/fake-transport.js';

describe('looking into dead letters', () => {
  test('shows all that is known of one', async () => {
    const app = await withLetters(letter('a'), letter('b'));
    expect(await app.messaging.deadLetters.show('b')).toEqual({
      id: 'b',
      deadLetterQueue: DLQ,
      route: 'order.created',
      body: Buffer.from('{"id":"b"}'),
      headers: letter('b').headers,
      reason: 'attempts-exhausted',
      error: { class: 'PaymentError', code: 'PAYMENT', message: 'declined', stack: 'at pay()' },
      attempts: 8,
      time: 1_000,
      origin: { topic: 'events', queue: 'orders:order.created:queue', service: 'orders', host: 'h1' },
    });
    expect(await app.messaging.deadLetters.show('z')).toBeUndefined();
    expect(lettersIn(app)).toEqual(['a', 'b']);
  });

  test('one that another client put there is shown for what it is', async () => {
    const app = await withLetters({ id: '', route: 'r', body: Buffer.from('x'), headers: {}, properties: {} });
    expect(await app.messaging.deadLetters.list()).toEqual([
      {
        id: '',
        deadLetterQueue: DLQ,
        route: 'r',
        body: Buffer.from('x'),
        headers: {},
        reason: 'unknown',
        error: { class: 'unknown', message: '' },
        attempts: 0,
        time: undefined,
        origin: {},
      },
    ]);
  });

  test('filters by every condition, and pages with limit and offset', async () => {
    const app = await withLetters(
      letter('a'),
      letter('b', { 'messaging-reason': 'expired' }),
      letter('c', { 'messaging-origin-route': 'order.paid' }),
      letter('d', { 'messaging-reason': 'expired' }),
    );
    const { deadLetters } = app.messaging;
    const list = async (...args: Parameters<typeof deadLetters.list>): Promise<string[]> =>
      (await deadLetters.list(...args)).map(({ id }) => id);
    expect(await list()).toEqual(['a', 'b', 'c', 'd']);
    expect(await list({ reason: 'expired' })).toEqual(['b', 'd']);
    expect(await list({ route: 'order.paid' })).toEqual(['c']);
    expect(await list({ ids: ['d', 'a'] })).toEqual(['a', 'd']);
    expect(await list({ where: ({ id }) => id > 'b' })).toEqual(['c', 'd']);
    expect(await list({ route: 'order.*' })).toEqual(['a', 'b', 'c', 'd']);
    expect(await list({ route: '#.paid' })).toEqual(['c']);
    expect(await list({ queue: [DLQ] })).toEqual(['a', 'b', 'c', 'd']);
    expect(await list({ reason: 'expired', ids: ['d'] })).toEqual(['d']);
    expect(await list({}, { limit: 2 })).toEqual(['a', 'b']);
    expect(await list({}, { limit: 2, offset: 1 })).toEqual(['b', 'c']);
    expect(await list({ subscription: 'order.created' }, { offset: 3 })).toEqual(['d']);
    expect(await list({ queue: 'empty' })).toEqual([]);
    expect(await deadLetters.count()).toBe(4);
    await expect(deadLetters.list({}, { limit: 0 })).rejects.toMatchObject({ code: 'INVALID_OPTION', option: 'limit' });
    await expect(deadLetters.list({}, { offset: -1 })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      option: 'offset',
    });
    await expect(deadLetters.list({ subscription: 'order.lost' })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      allowed: expect.stringContaining('order.created'),
    });
  });

  test('filters by the class and code of the error, by headers and by age', async () => {
    const app = await withLetters(
      letter('a'),
      letter('b', { 'messaging-error-class': 'TimeoutError', tenant: '8', 'messaging-origin-time': undefined }),
      letter('c', { 'messaging-error-code': 'STOCK', tenant: 8, 'messaging-origin-time': 5_000 }),
    );
    const { deadLetters } = app.messaging;
    const list = async (selection: DeadLetterSelection): Promise<string[]> =>
      (await deadLetters.list(selection)).map(({ id }) => id);
    expect(await list({ error: 'PaymentError' })).toEqual(['a', 'c']);
    expect(await list({ error: 'STOCK' })).toEqual(['c']);
    expect(await list({ headers: { tenant: 8 } })).toEqual(['b', 'c']);
    expect(await list({ headers: { tenant: '7', 'messaging-key': 'k' } })).toEqual(['a']);
    expect(await list({ headers: { toString: 'x' } })).toEqual([]);
    expect(await list({ olderThan: new Date(5_000) })).toEqual(['a']);
    expect(await list({ newerThan: new Date(1_000) })).toEqual(['c']);
    expect(await list({ olderThan: app.clock.now() - 5_000 })).toEqual(['a']);
    expect(await list({ newerThan: app.clock.now() - 1_000 })).toEqual(['c']);
    expect(await list({ newerThan: app.clock.now() - 999, olderThan: app.clock.now() - 5_001 })).toEqual(['a', 'c']);
  });

  test.each<[DeadLetterSelection, string]>([
    [{ color: 'red' } as DeadLetterSelection, 'there are: subscription, queue, ids'],
    [{ subscription: 'order.created', queue: DLQ }, 'one of them'],
    [{ olderThan: 2_000, newerThan: 1_000 }, 'none can be both'],
    [{ olderThan: -1 }, 'a number of milliseconds ago'],
    [{ newerThan: new Date('soon') }, 'a valid Date'],
    [{ headers: { a: {} } } as unknown as DeadLetterSelection, 'a text, a number, true or false'],
    [{ ids: 'a' } as unknown as DeadLetterSelection, 'a list of texts'],
    [{ route: '' }, 'not empty'],
    [{ where: 1 } as unknown as DeadLetterSelection, 'a function'],
  ])('a selection that cannot be meant is refused, with what is allowed: %j', async (selection, allowed) => {
    const { deadLetters } = (await withLetters(letter('a'))).messaging;
    const refusal = { code: 'INVALID_OPTION', allowed: expect.stringContaining(allowed) };
    await expect(deadLetters.list(selection)).rejects.toMatchObject(refusal);
    await expect(deadLetters.redrive(selection)).rejects.toMatchObject(refusal);
    await expect(deadLetters.delete({ ...selection, all: true })).rejects.toMatchObject(refusal);
  });

  test('gives back what it looked at, also when a condition throws', async () => {
    const app = await withLetters(letter('a'));
    const where = (): never => {
      throw new Error('odd');
    };
    await expect(app.messaging.deadLetters.list({ where })).rejects.toThrow('odd');
    expect(lettersIn(app)).toEqual(['a']);
  });

  test('two groups on one route are both seen', async () => {
    const app = await withLetters(letter('a'));
    await app.subscribe(() => undefined, { group: 'audit' });
    app.transport.stored.set('audit:order.created:dlq', [letter('b')]);
    expect((await app.messaging.deadLetters.list()).map(({ id }) => id)).toEqual(['a', 'b']);
    expect(await app.messaging.deadLetters.count({ subscription: 'order.created' })).toBe(2);
  });
});

describe('redrive', () => {
  test('sends back to the queue it came from: same id and bytes, a first attempt, nothing left of the failure', async () => {
    const app = await withLetters(letter('a'));
    const redriving = app.messaging.deadLetters.redrive();
    await app.turn();
    expect(lettersIn(app)).toEqual(['a']);
    const { to, message, mandatory, dedupeId } = app.transport.last;
    expect({ to, mandatory }).toEqual({ to: { kind: 'queue', queue: 'orders:order.created:queue' }, mandatory: true });
    expect(message).toEqual({
      id: 'a',
      route: 'order.created',
      body: Buffer.from('{"id":"a"}'),
      properties: { contentType: 'application/json' },
      headers: {
        tenant: 7,
        'messaging-attempt': 1,
        'messaging-key': 'k',
        'messaging-origin-topic': 'events',
        'messaging-origin-route': 'order.created',
        'messaging-origin-queue': 'orders:order.created:queue',
        'messaging-origin-service': 'orders',
      },
    });
    app.transport.settle(confirmed);
    expect(await redriving).toEqual({
      done: 1,
      failed: [],
      examined: 1,
      matched: 1,
      arrived: 0,
      startedAt: app.clock.now(),
    });
    expect(lettersIn(app)).toEqual([]);
    app.transport.stored.set(DLQ, [letter('a')]);
    const again = app.messaging.deadLetters.redrive();
    await app.turn();
    expect(app.transport.last.dedupeId).not.toBe(dedupeId);
    app.transport.settle(confirmed);
    await again;
  });

  test('keeps what could not be confirmed, and names it', async () => {
    const app = await withLetters(letter('a'), letter('b'), letter('c'));
    app.transport.answer = ({ message }) =>
      message.id === 'a' ? confirmed : message.id === 'b' ? failed() : unroutable();
    const { done, failed: kept } = await app.messaging.deadLetters.redrive();
    expect(done).toBe(1);
    expect(kept.map(({ id, error }) => [id, error.code])).toEqual([
      ['b', 'PUBLISH_FAILED'],
      ['c', 'UNROUTABLE'],
    ]);
    expect(lettersIn(app)).toEqual(['b', 'c']);
  });

  test('does not send one again that failed again meanwhile', async () => {
    const app = await withLetters(letter('a'), letter('b'));
    app.transport.answer = ({ message }) => {
      app.transport.stored.get(DLQ)!.push(letter(message.id, { 'messaging-origin-time': 2_000 }));
      return confirmed;
    };
    expect(await app.messaging.deadLetters.redrive()).toMatchObject({ done: 2 });
    expect(lettersIn(app)).toEqual(['a', 'b']);
  });

  test('of foreign messages without an id sends each', async () => {
    const app = await withLetters(letter(''), letter(''));
    app.transport.answer = () => confirmed;
    expect(await app.messaging.deadLetters.redrive({ queue: DLQ })).toMatchObject({ done: 2 });
  });

  test('selects like list', async () => {
    const app = await withLetters(letter('a'), letter('b', { 'messaging-reason': 'expired' }));
    app.transport.answer = () => confirmed;
    expect(await app.messaging.deadLetters.redrive({ reason: 'expired' })).toMatchObject({ done: 1 });
    expect(lettersIn(app)).toEqual(['a']);
  });

  test('of the publisher’s own sends where they were meant to go, without the time to live that ended', async () => {
    const app = await start();
    app.transport.disconnected();
    const one = app.publish('order.created', 1, { id: 'a', ttl: 10, headers: { tenant: 7 } });
    await app.clock.advance(1_000);
    app.transport.connected();
    expect(one.settled).toBe('MESSAGE_EXPIRED');
    app.transport.answer = () => failed();
    expect(await app.messaging.deadLetters.redrive()).toMatchObject({ done: 0, failed: [{ id: 'a' }] });
    expect(await app.messaging.deadLetters.count()).toBe(1);
    app.transport.answer = () => confirmed;
    expect(await app.messaging.deadLetters.redrive()).toMatchObject({ done: 1, failed: [] });
    expect(app.transport.last).toMatchObject({
      to: { kind: 'route', route: 'order.created' },
      message: { id: 'a', headers: { tenant: 7 } },
    });
    expect(app.transport.last.message.headers).not.toHaveProperty('messaging-expires-at');
    expect(app.messaging.health()).toMatchObject({ status: 'up', deadLetters: { publisher: 0 } });
  });
});

describe('delete', () => {
  test.each([[{}], [{ subscription: 'order.created' }], [{ queue: DLQ }]])(
    'needs a condition: %j is refused',
    async (selection) => {
      const app = await withLetters(letter('a'));
      await expect(app.messaging.deadLetters.delete(selection)).rejects.toMatchObject({
        code: 'INVALID_OPTION',
        option: 'selection',
      });
      expect(lettersIn(app)).toEqual(['a']);
    },
  );

  test('deletes what is selected and nothing else; no ids are no messages', async () => {
    const app = await withLetters(letter('a'), letter('b'), letter('c'));
    expect(await app.messaging.deadLetters.delete({ ids: ['b'] })).toEqual({ done: 1, failed: [] });
    expect(await app.messaging.deadLetters.delete({ ids: [] })).toMatchObject({ done: 0 });
    expect(lettersIn(app)).toEqual(['a', 'c']);
    expect(app.transport.batches).toEqual([]);
  });

  test('all: true deletes everything, messages with the same id and the publisher’s own included', async () => {
    const app = await withLetters(letter('a'), letter('a'), letter(''), letter(''));
    app.transport.disconnected();
    app.publish('order.created', 1, { ttl: 1 });
    await app.clock.advance(1_000);
    app.transport.connected();
    expect(await app.messaging.deadLetters.delete({ all: true })).toMatchObject({ done: 5 });
    expect(await app.messaging.deadLetters.count()).toBe(0);
  });
});

test('health counts dead letters now and then, with their age, and asks the broker no more often', async () => {
  const app = await withLetters(letter('a'), letter('b'));
  app.messaging.startCounting();
  await app.clock.advance(500);
  const counts = (): unknown => app.messaging.health().deadLetters.queues;
  expect(counts()).toEqual([{ queue: DLQ, count: 2, ageMs: 0 }]);
  app.transport.stored.get(DLQ)!.push(letter('c'));
  await app.clock.advance(5_000);
  expect(counts()).toEqual([{ queue: DLQ, count: 2, ageMs: 5_000 }]);
  await app.clock.advance(10_000);
  expect(counts()).toEqual([{ queue: DLQ, count: 3, ageMs: 0 }]);
  app.transport.disconnected();
  await app.clock.advance(20_000);
  expect(counts()).toEqual([{ queue: DLQ, count: 3, ageMs: 20_000 }]);
  await app.messaging.close();
  expect(app.clock.pending).toBe(0);
});

test('a subscription that was stopped is not counted any more', async () => {
  const app = await start();
  const runtime = await app.messaging.subscribe({ route: 'order.created' }, () => undefined);
  app.transport.stored.set(DLQ, []);
  app.messaging.startCounting();
  await app.clock.advance(500);
  expect(app.messaging.health().deadLetters.queues).toHaveLength(1);
  await runtime.stop();
  await app.clock.advance(15_000);
  expect(app.messaging.health().deadLetters.queues).toEqual([]);
});
