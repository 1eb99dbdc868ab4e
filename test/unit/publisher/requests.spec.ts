import { describe, expect, test } from '@jest/globals';
import { SerializationError } from '../../../lib/errors/publish-errors.js';
import type { PublishMiddleware } from '../../../lib/publisher/publish-middleware.js';
import { deferred, start } from '../support/application.js';
import { FakeTransport, confirmed, failed, unroutable } from '../support/fake-transport.js';

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe('a message id', () => {
  test('is the caller’s where one is given, on the message and the receipt', async () => {
    const app = await start();
    const one = app.publish('order.created', {}, { id: 'order-1' });
    expect(app.transport.last).toMatchObject({ message: { id: 'order-1' } });
    app.transport.settle(confirmed);
    await app.turn();
    expect(one.receipt!.id).toBe('order-1');
  });

  test('given twice makes two messages: a broker that de-duplicates is told them apart, and resends of each are not', async () => {
    const app = await start();
    app.transport.answer = () => failed();
    const id = 'order-1';
    app.publish('order.created', { v: 1 }, { id });
    app.publish('order.created', { v: 2 }, { id, delay: 60_000 });
    void app.publisher.sendToQueue('q', { v: 3 }, { id });
    void app.publisher.publishMany([
      { route: 'order.created', body: { v: 4 }, id },
      { route: 'order.created', body: { v: 5 }, id },
    ]);
    app.publisher.emit('order.created', { v: 6 }, { id });
    await app.turn();
    await app.clock.advance(1_000);
    const sends = new Map<string, Set<string>>();
    for (const { message, dedupeId } of app.transport.published) {
      const body = message.body.toString();
      sends.set(body, (sends.get(body) ?? new Set()).add(dedupeId));
    }
    expect(app.transport.published).toHaveLength(12);
    expect([...sends.values()].map(({ size }) => size)).toEqual([1, 1, 1, 1, 1, 1]);
    expect(new Set([...sends.values()].flatMap((some) => [...some])).size).toBe(6);
  });

  test('is else a UUIDv7: unique, and later ones sort after earlier ones', async () => {
    const app = await start();
    for (let n = 0; n < 50; n++) {
      app.publish('order.created', {});
      await app.clock.advance(1 + n * 997);
    }
    const ids = app.transport.publishedIds;
    expect(ids.every((id) => UUID_V7.test(id))).toBe(true);
    expect([...ids].sort()).toEqual(ids);
    expect(new Set(ids).size).toBe(50);
    expect(parseInt(ids[0].replace('-', '').slice(0, 12), 16)).toBe(Date.UTC(2030, 0, 1));
  });

  test.each([[''], ['x'.repeat(256)], ['a\0b'], [7]])('cannot be %j', async (id) => {
    const app = await start();
    const one = app.publish('order.created', {}, { id: id as string });
    await app.turn();
    expect(one.error).toMatchObject({ code: 'INVALID_OPTION', option: 'id', allowed: 'a text of 1 to 255 bytes' });
  });
});

describe('a body', () => {
  test('is JSON without an envelope; bytes pass untouched', async () => {
    const app = await start();
    app.publish('r', { n: 1, ä: '€' });
    expect(app.transport.last.message).toMatchObject({
      body: Buffer.from('{"n":1,"ä":"€"}'),
      properties: { contentType: 'application/json' },
    });
    const bytes = Uint8Array.from({ length: 256 }, (_, n) => n);
    app.publish('r', bytes.subarray(3, 200));
    expect(app.transport.last.message).toMatchObject({
      body: Buffer.from(bytes.subarray(3, 200)),
      properties: { contentType: 'application/octet-stream' },
    });
    app.publish('r', null);
    expect(app.transport.last.message.body.toString()).toBe('null');
  });

  test('cannot change any more after it was published', async () => {
    const app = await start();
    const bytes = Buffer.from('before');
    const object = { n: 1 };
    app.transport.disconnected();
    app.publish('r', bytes);
    app.publish('r', object);
    bytes.write('after!');
    object.n = 2;
    app.transport.connected();
    expect(app.transport.published.map(({ message }) => message.body.toString())).toEqual(['before', '{"n":1}']);
  });

  test('is serialised once, and byte-identical on every resend', async () => {
    let calls = 0;
    const serialize = (payload: unknown): { body: Buffer } => ({ body: Buffer.from(`${String(payload)} ${++calls}`) });
    const app = await start({ serializer: { serialize, deserialize: (body) => body } });
    app.publish('r', 'x');
    for (let pass = 0; pass < 3; pass++) {
      app.transport.settle(failed());
      await app.clock.advance(1_000);
    }
    expect(app.transport.published.map(({ message }) => message.body.toString())).toEqual(Array(4).fill('x 1'));
    expect(app.transport.last.message.properties).toEqual({});
  });

  const circular: unknown[] = [];
  circular.push(circular);
  test.each<[string, unknown, string]>([
    ['a circular structure', circular, 'circular'],
    ['a bigint', { n: 1n }, 'BigInt'],
    ['undefined', undefined, 'undefined has no JSON form'],
    ['a function', () => 1, 'function has no JSON form'],
    ['a symbol', Symbol('s'), 'symbol has no JSON form'],
    [
      'a toJSON that throws',
      {
        toJSON: () => {
          throw new Error('no form');
        },
      },
      'no form',
    ],
    [
      'a toJSON that throws something without a text',
      {
        toJSON: () => {
          throw Object.create(null);
        },
      },
      'no text',
    ],
  ])('that cannot be written is refused before anything is sent: %s', async (_, body, says) => {
    const app = await start();
    const one = app.publish('r', body);
    await app.turn();
    expect(one.error).toBeInstanceOf(SerializationError);
    expect(one.error!.message).toContain(says);
    expect(app.transport.batches).toEqual([]);
  });

  test.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new TypeError('amqp://user:secret@host is odd');
      },
    ],
    ['returns nothing', () => undefined],
    ['returns no bytes', () => ({ body: 'text' })],
  ])('a serializer that %s is a SerializationError without credentials', async (_, serialize) => {
    const app = await start({ serializer: { serialize: serialize as never, deserialize: (body) => body } });
    const one = app.publish('r', 1);
    await app.turn();
    expect(one.error).toMatchObject({ code: 'SERIALIZATION' });
    expect(one.error!.message).not.toContain('secret');
  });

  test('over the transport’s limit is refused, at the limit it is not', async () => {
    const app = await start({}, new FakeTransport({ maxBytes: 10 }));
    const large = app.publish('r', Buffer.alloc(11));
    app.publish('r', Buffer.alloc(10));
    await app.turn();
    expect(large.error).toMatchObject({ code: 'MESSAGE_TOO_LARGE', message: expect.stringContaining('11 bytes') });
    expect(app.transport.published).toHaveLength(1);
  });
});

describe('headers', () => {
  test('pass unchanged beside ours: time, version, key and expiry', async () => {
    const app = await start();
    const headers = {
      traceparent: '00-a',
      'x-tenant': 7,
      nested: { list: [1, 'a', null] },
      gone: undefined,
    };
    app.publish('r', 1, { headers, key: 'k', ttl: 1_000 });
    const now = app.clock.now();
    expect(app.transport.last.message.headers).toEqual({
      traceparent: '00-a',
      'x-tenant': 7,
      nested: { list: [1, 'a', null] },
      'messaging-time': now,
      'messaging-version': 1,
      'messaging-key': 'k',
      'messaging-expires-at': now + 1_000,
    });
    expect('gone' in app.transport.last.message.headers).toBe(false);
  });

  test('a date is its ISO 8601 text at any depth, before 1970 too; undefined is as in JSON', async () => {
    const app = await start();
    const early = new Date(-86_400_001);
    const headers = { early, deep: { list: [early, undefined], gone: undefined }, bare: Object.create(null) as object };
    app.publish('r', 1, { headers: headers as never });
    expect(app.transport.last.message.headers).toMatchObject({
      early: '1969-12-30T23:59:59.999Z',
      deep: { list: ['1969-12-30T23:59:59.999Z', null] },
      bare: {},
    });
    expect(app.transport.last.message.headers.deep).not.toHaveProperty('gone');
  });

  test('a list that is changed after the publish is sent as it was', async () => {
    const app = await start();
    const headers = { list: ['before'], deep: { value: 1 } };
    app.publish('r', 1, { headers });
    headers.list.push('after');
    headers.deep.value = 2;
    expect(app.transport.last.message.headers).toMatchObject({ list: ['before'], deep: { value: 1 } });
  });

  const endless: Record<string, unknown> = {};
  endless.itself = endless;

  test.each<[string, unknown]>([
    ['an infinite number', Infinity],
    ['a negative infinite number', -Infinity],
    ['NaN', NaN],
    ['an infinite number in a list', ['a', [1, -Infinity]]],
    ['NaN in a table', { a: { b: NaN } }],
    ['an invalid date', new Date(NaN)],
    ['an invalid date in a table', { a: [new Date(NaN)] }],
    ['an object that holds itself', endless],
  ])('are refused as SERIALIZATION with %s, and nothing is sent', async (_, value) => {
    const app = await start();
    const one = app.publish('r', 1, { headers: { limit: value as never } });
    await app.turn();
    expect(one.error).toMatchObject({ code: 'SERIALIZATION', message: expect.stringContaining('«limit»') });
    expect(app.transport.batches).toEqual([]);
  });

  class Money {
    constructor(readonly amount = 1) {}
  }

  test.each<[string, unknown]>([
    ['a Map', new Map([['a', 1]])],
    ['a Set', new Set([1])],
    ['a Map in a list', [new Map()]],
    ['an instance of a class', { deep: new Money() }],
    ['a function in a table', { deep: () => 1 }],
    ['a bigint in a list', [1n]],
    ['a symbol', Symbol('s')],
    ['floats', new Float64Array(1)],
  ])('are refused with %s, which would arrive as something else', async (_, value) => {
    const app = await start();
    const one = app.publish('r', 1, { headers: { n: value as never } });
    await app.turn();
    expect(one.error).toMatchObject({ code: 'INVALID_OPTION', option: "headers['n']" });
    expect(app.transport.batches).toEqual([]);
  });

  test.each<[string, unknown, string]>([
    ['ours', { 'messaging-attempt': 3 }, "headers['messaging-attempt']"],
    ['a bigint', { n: 1n }, "headers['n']"],
    ['a function', { n: () => 1 }, "headers['n']"],
    ['a name too long', { ['n'.repeat(256)]: 1 }, 'headers'],
    ['a name that is a prototype', JSON.parse('{"__proto__":{"messaging-attempt":9}}'), 'headers'],
    ['an array', ['a'], 'headers'],
    ['null', null, 'headers'],
  ])('are refused when they are %s', async (_, headers, option) => {
    const app = await start();
    const one = app.publish('r', 1, { headers: headers as never });
    await app.turn();
    expect(one.error).toMatchObject({ code: 'INVALID_OPTION', option });
    expect(app.transport.batches).toEqual([]);
  });

  test('correlation id and reply address are standard properties', async () => {
    const app = await start();
    app.publish('r', 1, { correlationId: 'c', replyTo: 'answers' });
    expect(app.transport.last.message.properties).toEqual({
      contentType: 'application/json',
      correlationId: 'c',
      replyTo: 'answers',
    });
  });
});

describe('delay, at, ttl', () => {
  test('a delay and a time are told to the transport in whole milliseconds', async () => {
    const app = await start();
    const now = app.clock.now();
    app.publish('r', 1, { delay: 1_500 });
    app.publish('r', 1, { delay: 0.25 });
    app.publish('r', 1, { at: new Date(now + 7) });
    app.publish('r', 1, { at: now + 8 });
    app.publish('r', 1, { at: now - 1_000 });
    expect(app.transport.published.map(({ dueAt }) => dueAt! - now)).toEqual([1_500, 1, 7, 8, -1_000]);
    app.publish('r', 1);
    expect(app.transport.last.dueAt).toBeUndefined();
  });

  test.each<[object, string]>([
    [{ delay: -1 }, 'delay'],
    [{ delay: NaN }, 'delay'],
    [{ delay: '5' }, 'delay'],
    [{ delay: 2 ** 31 + 1 }, 'delay'],
    [{ at: new Date(NaN) }, 'at'],
    [{ at: 'tomorrow' }, 'at'],
    [{ at: Date.UTC(2040, 0, 1) }, 'at'],
    [{ delay: 1, at: 5 }, 'at'],
    [{ ttl: 0 }, 'ttl'],
    [{ ttl: Infinity }, 'ttl'],
    [{ unroutable: 'drop' }, 'unroutable'],
    [{ ordered: 'yes', key: 'k' }, 'ordered'],
    [{ key: '' }, 'key'],
    [{ topic: 5 }, 'topic'],
    [{ correlationId: '' }, 'correlationId'],
    [{ replyTo: {} }, 'replyTo'],
    [{ prority: 5 }, 'options.prority'],
  ])('%j is refused with the option’s name and what is allowed', async (options, option) => {
    const app = await start();
    const one = app.publish('r', 1, options);
    await app.turn();
    expect(one.error).toMatchObject({ code: 'INVALID_OPTION', option, allowed: expect.stringMatching(/./) });
    expect(one.error!.message).toMatch(/^Option «.*» is .*; allowed: ./);
    expect(app.transport.batches).toEqual([]);
  });
});

describe('where a message goes', () => {
  test('by route, on another topic, or to a queue by its name', async () => {
    const app = await start();
    app.publish('order.created', 1);
    app.publish({ route: 'order.paid' }, 1, { topic: 'billing' });
    void app.publisher.sendToQueue('plain-queue', 1);
    expect(app.transport.published.map(({ to }) => to)).toEqual([
      { kind: 'route', route: 'order.created' },
      { kind: 'route', route: 'order.paid', topic: 'billing' },
      { kind: 'queue', queue: 'plain-queue' },
    ]);
    expect(app.transport.last.message.route).toBe('plain-queue');
  });

  test.each([[undefined], [''], [5], [null], [{}]])('%j is no route', async (route) => {
    const app = await start();
    const one = app.publish(route as never, 1);
    await app.turn();
    expect(one.error).toMatchObject({ code: 'INVALID_OPTION', option: 'route' });
  });
});

describe('publish middleware', () => {
  test('runs first listed outermost, and may change the request and see the receipt', async () => {
    const calls: string[] = [];
    const named =
      (name: string): PublishMiddleware =>
      async (request, next) => {
        calls.push(`${name} in`);
        const headers = { ...request.options.headers, [name]: 'seen' };
        const receipt = await next({
          ...request,
          body: `${String(request.body)}${name}`,
          options: { ...request.options, headers },
        });
        calls.push(`${name} out ${receipt.outcome}`);
        return receipt;
      };
    const app = await start({ publishMiddleware: [named('a'), named('b')] });
    const one = app.publish('r', '', { id: 'x' });
    await app.turn();
    expect(app.transport.last.message).toMatchObject({ body: Buffer.from('"ab"'), headers: { a: 'seen', b: 'seen' } });
    app.transport.settle(confirmed);
    await app.turn();
    expect(one.state).toBe('confirmed');
    expect(calls).toEqual(['a in', 'b in', 'b out confirmed', 'a out confirmed']);
  });

  test('may send elsewhere, and one that throws rejects the publish', async () => {
    const app = await start({
      publishMiddleware: [
        (request, next) => {
          if (request.body === 'bad') throw new Error('not this one');
          return next(request.queue === undefined ? request : { ...request, queue: 'moved' });
        },
      ],
    });
    void app.publisher.sendToQueue('q', 1);
    const bad = app.publish('r', 'bad');
    await app.turn();
    expect(app.transport.last.to).toEqual({ kind: 'queue', queue: 'moved' });
    expect(bad.error!.message).toBe('not this one');
  });
});

describe('publishMany', () => {
  test('is one batch for the transport, with one result per entry, in their order', async () => {
    const app = await start({ unroutable: 'reject' });
    const entries = ['a', 'b', 'c'].map((id) => ({ route: `r.${id}`, body: id, id }));
    const results = app.publisher.publishMany([
      ...entries,
      { route: 'r.d', body: undefined, id: 'd' },
      { route: '', body: 1 },
      { route: 'r.e', body: 1 },
      undefined as never,
    ]);
    expect(app.transport.batches).toHaveLength(1);
    expect(app.transport.publishedIds.slice(0, 3)).toEqual(['a', 'b', 'c']);
    const generated = app.transport.publishedIds[3];
    app.transport.settle(confirmed, 'c');
    app.transport.settle(unroutable(), 'a');
    app.transport.settle(failed(), 'b');
    app.transport.settle(unroutable(), generated);
    expect(await results).toEqual([
      { id: 'a', outcome: 'rejected', error: expect.objectContaining({ code: 'UNROUTABLE' }) },
      expect.objectContaining({ id: 'b', outcome: 'queued', stored: 'memory' }),
      expect.objectContaining({ id: 'c', outcome: 'confirmed' }),
      { id: 'd', outcome: 'rejected', error: expect.objectContaining({ code: 'SERIALIZATION' }) },
      { id: '', outcome: 'rejected', error: expect.objectContaining({ code: 'INVALID_OPTION' }) },
      { id: generated, outcome: 'rejected', error: expect.objectContaining({ code: 'UNROUTABLE' }) },
      expect.objectContaining({ outcome: 'rejected' }),
    ]);
  });

  test('sends only the failed entries again', async () => {
    const app = await start();
    const results = app.publisher.publishMany(['a', 'b', 'c'].map((id) => ({ route: 'r', body: id, id })));
    app.transport.settle(confirmed, 'a');
    app.transport.settle(failed(), 'b');
    app.transport.settle(confirmed, 'c');
    await results;
    await app.clock.advance(1_000);
    expect(app.transport.publishedIds).toEqual(['a', 'b', 'c', 'b']);
  });

  test('does not fail for its size: it goes in batches as its results come', async () => {
    const app = await start({ maxInFlight: 10, retryQueue: { maxMessages: 8 } });
    app.transport.answer = () => confirmed;
    const entries = Array.from({ length: 100 }, (_, n) => ({ route: 'r', body: n, id: `${n}` }));
    const results = await app.publisher.publishMany(entries);
    expect(results.map(({ id, outcome }) => [id, outcome])).toEqual(entries.map(({ id }) => [id, 'confirmed']));
    expect(app.transport.publishedIds).toEqual(entries.map(({ id }) => id));
    expect(Math.max(...app.transport.batches.map(({ length }) => length))).toBe(8);
    expect(app.transport.batches.length).toBeLessThan(30);
  });

  test('nor for its bytes', async () => {
    const app = await start({ retryQueue: { maxBytes: 4_000 } });
    app.transport.answer = () => confirmed;
    const sizes = [3_000, 100, 1_000, 2_900, 1, 1];
    const results = await app.publisher.publishMany(
      sizes.map((size, n) => ({ route: 'r', body: Buffer.alloc(size), id: `${n}` })),
    );
    expect(results.map(({ outcome }) => outcome)).toEqual(Array(6).fill('confirmed'));
    expect(app.transport.publishedIds).toEqual(['0', '1', '2', '3', '4', '5']);
  });

  test('through middleware neither', async () => {
    const app = await start({
      maxInFlight: 4,
      retryQueue: { maxMessages: 4 },
      publishMiddleware: [(r, next) => next(r)],
    });
    app.transport.answer = () => confirmed;
    const results = await app.publisher.publishMany(Array.from({ length: 20 }, (_, body) => ({ route: 'r', body })));
    expect(results.map(({ outcome }) => outcome)).toEqual(Array(20).fill('confirmed'));
  });

  test('while nothing can be sent it fills the retry queue, and each further entry is told so', async () => {
    const app = await start({ retryQueue: { maxMessages: 30 } });
    app.transport.disconnected();
    const results = await app.publisher.publishMany(Array.from({ length: 50 }, (_, body) => ({ route: 'r', body })));
    expect(results.map(({ outcome }) => outcome)).toEqual([...Array(30).fill('queued'), ...Array(20).fill('rejected')]);
    expect(results[49]).toMatchObject({ error: { code: 'RETRY_QUEUE_FULL' } });
  });

  test('one that is still being fed when the application closes ends with a result for each entry', async () => {
    const app = await start({ maxInFlight: 5, shutdownTimeout: 1_000 });
    const publishing = app.publisher.publishMany(Array.from({ length: 20 }, (_, body) => ({ route: 'r', body })));
    const closing = app.messaging.close();
    await app.clock.advance(1_000);
    await closing;
    const results = await publishing;
    expect(results).toHaveLength(20);
    expect(results.every((one) => one.outcome === 'rejected' && one.error.code === 'PUBLISHER_CLOSED')).toBe(true);
  });

  test('an error of a middleware is the result of its entry', async () => {
    const app = await start({ publishMiddleware: [() => Promise.reject(new Error('no'))] });
    expect(await app.publisher.publishMany([{ route: 'r', body: 1, id: 'a' }])).toEqual([
      { id: 'a', outcome: 'rejected', error: expect.objectContaining({ code: 'PUBLISH_FAILED' }) },
    ]);
  });
});

describe('emit', () => {
  test('returns at once; a failure is counted and logged, and no rejection is left unhandled', async () => {
    const app = await start();
    expect(app.publisher.emit('r', 1)).toBe(true);
    expect(app.publisher.emit('r', undefined)).toBe(true);
    app.transport.settle(unroutable('no queue for amqp://u:secret@h'));
    await app.turn();
    expect(app.publisher.emitFailures).toBe(2);
    expect(app.logged('error')).toEqual([
      expect.stringContaining('no JSON form'),
      expect.stringContaining('amqp://***@h'),
    ]);
  });

  test('takes no more than 1,024 without a result: false beyond, counted, until drained', async () => {
    const app = await start();
    for (let n = 0; n < 1_024; n++) expect(app.publisher.emit('r', n)).toBe(true);
    expect(app.publisher.emit('r', 'too much')).toBe(false);
    expect(app.publisher.emitFailures).toBe(1);
    let drained = 0;
    void app.publisher.drained().then(() => drained++);
    void app.publisher.drained().then(() => drained++);
    await app.turn();
    expect(drained).toBe(0);
    app.transport.settle(confirmed);
    await app.turn();
    expect(drained).toBe(2);
    expect(app.publisher.emit('r', 1)).toBe(true);
    expect(app.transport.published).toHaveLength(1_025);
  });

  test('what is queued has its result: it does not fill the buffer', async () => {
    const app = await start();
    app.transport.disconnected();
    for (let n = 0; n < 3_000; n++) {
      expect(app.publisher.emit('r', n)).toBe(true);
      if (n % 500 === 0) await app.turn();
    }
    await app.publisher.drained();
    expect(app.retryQueue.depth).toBe(3_000);
  });

  test('one that is queued and cannot be sent in the end is a failure too, one that is sent is none', async () => {
    const app = await start();
    app.transport.disconnected();
    app.publisher.emit('r', 1, { id: 'dies', ttl: 500 });
    app.publisher.emit('r', 1, { id: 'lives' });
    await app.clock.advance(1_000);
    expect(app.publisher.emitFailures).toBe(1);
    expect(app.logged('error')).toContainEqual(expect.stringMatching(/emit\(\) could not send .* time to live ended/));
    app.transport.connected();
    app.transport.settle(confirmed);
    await app.turn();
    expect(app.publisher.emitFailures).toBe(1);
  });

  test('is false after close', async () => {
    const app = await start();
    await app.messaging.close();
    expect(app.publisher.emit('r', 1)).toBe(false);
    expect(app.publisher.emitFailures).toBe(1);
  });
});

describe('close', () => {
  test('waits for what is under way and what is queued, then nothing runs any more', async () => {
    const app = await start();
    const one = app.publish('r', 1, { id: 'a' });
    const two = app.publish('r', 1, { id: 'b' });
    app.transport.settle(failed(), 'b');
    let closed = false;
    const closing = app.messaging.close().then(() => (closed = true));
    await app.turn();
    expect(app.transport.publishedIds).toEqual(['a', 'b', 'b']);
    expect(closed).toBe(false);
    app.transport.settle(confirmed, 'a');
    app.transport.settle(confirmed, 'b');
    await closing;
    expect([one.state, two.settled]).toEqual(['confirmed', 'confirmed']);
    expect(app.transport.closed).toBe(1);
    expect(app.clock.pending).toBe(0);
    expect(app.logged('error')).toEqual([]);
  });

  test('at the deadline what is left is rejected and named in error lines, and nothing is sent later', async () => {
    const app = await start({ maxInFlight: 2, shutdownTimeout: 3_000 });
    const under = app.publish('r', 1, { id: 'under way' });
    const behind = app.publish('r', 1, { id: 'behind', key: 'k', ordered: true });
    const followed = app.publish('r', 1, { id: 'follower', key: 'k', ordered: true });
    const line = app.publish('r', 1, { id: 'in line' });
    const closing = app.messaging.close();
    await app.clock.advance(3_000);
    await closing;
    expect([under, behind, followed, line].map(({ error }) => error?.code)).toEqual(Array(4).fill('PUBLISHER_CLOSED'));
    const lines = app.logged('error').join();
    for (const id of ['under way', 'behind', 'follower', 'in line']) expect(lines).toContain(`${id} (r)`);
    const sent = app.transport.published.length;
    app.transport.settleAll(failed());
    app.transport.disconnected();
    app.transport.connected();
    await app.clock.advance(10_000);
    expect(app.transport.published).toHaveLength(sent);
    expect(app.clock.pending).toBe(0);
  });

  test('without a connection a queued message is told lost, and no timer goes on', async () => {
    const app = await start({ shutdownTimeout: 1_000 });
    app.transport.disconnected();
    const one = app.publish('r', 1, { id: 'a' });
    const closing = app.messaging.close();
    await app.clock.advance(1_000);
    await closing;
    expect(one.settled).toBe('PUBLISHER_CLOSED');
    app.transport.connected();
    app.transport.disconnected();
    await app.clock.advance(5_000);
    expect(app.transport.batches).toEqual([]);
    expect(app.clock.pending).toBe(0);
  });

  test('called again, it is the same end', async () => {
    const app = await start();
    await Promise.all([app.messaging.close(), app.messaging.close()]);
    await app.messaging.close();
    expect(app.transport.closed).toBe(1);
  });

  test('handlers and requests may publish until it, in the first phase too', async () => {
    const app = await start();
    const handling = deferred();
    const subscription = await app.subscribe(async () => {
      await handling.promise;
      await app.publisher.publish('r', 'from the handler');
    });
    const delivery = subscription.deliver();
    const stopped = app.messaging.stopIntake();
    await app.turn();
    app.transport.answer = () => confirmed;
    handling.resolve();
    await stopped;
    expect(delivery.settlements).toEqual(['ack']);
    const one = app.publish('r', 1);
    await app.turn();
    expect(one.state).toBe('confirmed');
    await app.messaging.close();
  });
});
