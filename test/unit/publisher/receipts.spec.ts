import { describe, expect, test } from '@jest/globals';
import { start } from '../support/application.js';
import { FakeTransport, confirmed, failed, refused, unroutable } from '../support/fake-transport.js';

describe('a publish tells the truth', () => {
  test('confirmed only after the broker said so, and nothing is left of it', async () => {
    const app = await start();
    const one = app.publish('order.created', { n: 1 }, { id: 'a' });
    await app.turn();
    expect(one.state).toBe('pending');
    app.transport.settle(confirmed);
    await app.turn();
    expect(one).toMatchObject({ state: 'confirmed', settled: 'confirmed', receipt: { id: 'a', outcome: 'confirmed' } });
    expect(one.receipt!.stored).toBeUndefined();
    expect(app.retryQueue).toMatchObject({ depth: 0, bytes: 0, oldestAgeMs: 0 });
  });

  test('queued in memory while there is no connection, and settled when the broker has it', async () => {
    const app = await start();
    app.transport.disconnected();
    const one = app.publish('order.created', {}, { id: 'a' });
    await app.turn();
    expect(one).toMatchObject({ state: 'queued', receipt: { id: 'a', stored: 'memory' } });
    expect(one.settled).toBeUndefined();
    app.transport.connected();
    app.transport.settle(confirmed, 'a');
    await app.turn();
    expect(one.settled).toBe('confirmed');
    expect(app.transport.publishedIds).toEqual(['a']);
  });

  test('a nack is a passing reason: the caller is not failed and the message is sent again at the next pass', async () => {
    const app = await start();
    const queued = app.record('queued');
    const one = app.publish('order.created', {}, { id: 'a' });
    app.transport.settle(failed('nacked'));
    await app.turn();
    expect(one.state).toBe('queued');
    expect(queued).toEqual([
      expect.objectContaining({ id: 'a', error: expect.objectContaining({ code: 'PUBLISH_FAILED' }) }),
    ]);
    await app.clock.advance(999);
    expect(app.transport.publishedIds).toEqual(['a']);
    await app.clock.advance(1);
    expect(app.transport.publishedIds).toEqual(['a', 'a']);
    app.transport.settle(confirmed);
    await app.turn();
    expect(one.settled).toBe('confirmed');
    expect(app.transport.published[0].dedupeId).toBe(app.transport.published[1].dedupeId);
  });

  test('every event of a publish carries its id and destination', async () => {
    const app = await start();
    const published = app.record('published');
    const returned = app.record('returned');
    const lost = app.record('publish-failed');
    app.publish('order.created', 'x', { id: 'a' });
    app.publish('order.lost', 'x', { id: 'b' });
    app.transport.settle(confirmed);
    app.transport.settle(unroutable());
    await app.turn();
    expect(published).toEqual([{ id: 'a', to: { kind: 'route', route: 'order.created' }, bytes: 3 }]);
    expect(returned).toEqual([{ id: 'b', to: { kind: 'route', route: 'order.lost' } }]);
    expect(lost).toEqual([
      expect.objectContaining({ id: 'b', error: expect.objectContaining({ code: 'UNROUTABLE' }) }),
    ]);
  });
});

describe('an error has a code that is safe to branch on', () => {
  test.each([
    ['UNROUTABLE', unroutable()],
    ['PUBLISH_REFUSED', refused()],
  ])('%s rejects at once, for good, and goes to no dead letters because the caller knows', async (code, result) => {
    const app = await start();
    const one = app.publish('order.created', {});
    app.transport.settle(result);
    await app.turn();
    expect(one.error).toMatchObject({ code, retryable: false });
    expect(app.messaging.health()).toMatchObject({
      status: 'up',
      deadLetters: { publisher: 0 },
      retryQueue: { depth: 0 },
    });
  });

  test('RETRY_QUEUE_FULL, MESSAGE_TOO_LARGE, SERIALIZATION, INVALID_OPTION and PUBLISHER_CLOSED reject before anything is sent', async () => {
    const app = await start({ retryQueue: { maxMessages: 1 } }, new FakeTransport({ maxBytes: 100 }));
    const large = app.publish('order.created', 'x'.repeat(101));
    const circular: { self?: unknown } = {};
    circular.self = circular;
    const unwritable = app.publish('order.created', circular);
    const invalid = app.publish('order.created', {}, { delay: -1 });
    app.transport.disconnected();
    app.publish('order.created', {});
    const full = app.publish('order.created', {});
    await app.turn();
    expect(large.error).toMatchObject({ code: 'MESSAGE_TOO_LARGE', retryable: false });
    expect(unwritable.error).toMatchObject({ code: 'SERIALIZATION', retryable: false });
    expect(invalid.error).toMatchObject({ code: 'INVALID_OPTION', option: 'delay', retryable: false });
    expect(full.error).toMatchObject({ code: 'RETRY_QUEUE_FULL', retryable: true });
    expect(full.error!.message).toContain('1 messages');
    const closing = app.messaging.close();
    await app.turn();
    const late = app.publish('order.created', {});
    await app.clock.advance(10_000);
    await closing;
    expect(late.error).toMatchObject({ code: 'PUBLISHER_CLOSED', retryable: false });
    expect(app.transport.batches).toEqual([]);
  });
});

describe('a message that no queue takes', () => {
  test('reject is asked for with mandatory, ignore is not', async () => {
    const app = await start();
    app.publish('a', {});
    app.publish('a', {}, { unroutable: 'queue' });
    app.publish('a', {}, { unroutable: 'ignore' });
    expect(app.transport.published.map(({ mandatory }) => mandatory)).toEqual([true, true, false]);
  });

  test('with «queue» it waits for a subscriber, keeping its place, and never fails its caller', async () => {
    const app = await start({ unroutable: 'queue' });
    const one = app.publish('a', {}, { id: 'a' });
    for (let pass = 0; pass < 3; pass++) {
      app.transport.settle(unroutable());
      await app.turn();
      expect(one).toMatchObject({ state: 'queued' });
      expect(one.settled).toBeUndefined();
      await app.clock.advance(1_000);
    }
    app.transport.settle(confirmed);
    await app.turn();
    expect(one.settled).toBe('confirmed');
    expect(app.clock.pending).toBe(0);
  });

  test('with «ignore» it counts as confirmed, even where a transport tells all the same', async () => {
    const app = await start({ unroutable: 'ignore' });
    const one = app.publish('a', {});
    app.transport.settle(unroutable());
    await app.turn();
    expect(one.state).toBe('confirmed');
  });
});

describe('what turns out unsendable after its caller was told «queued»', () => {
  test.each([
    ['unroutable, three times,', unroutable(), 'UNROUTABLE', 3],
    ['refused', refused('too large for the broker'), 'PUBLISH_REFUSED', 1],
  ])(
    '%s on resend goes to the publisher’s dead letters, with an event, an error line and degraded health',
    async (_, result, code, passes) => {
      const app = await start();
      const lost = app.record('publish-failed');
      app.transport.disconnected();
      const one = app.publish('order.created', { n: 1 }, { id: 'a', headers: { tenant: 'x' } });
      await app.turn();
      app.transport.connected();
      expect(app.messaging.health().status).toBe('up');
      app.transport.settle(result);
      for (let pass = 1; pass < passes; pass++) {
        expect(one.settled).toBeUndefined();
        await app.clock.advance(1_000);
        app.transport.settle(result);
      }
      await app.turn();
      expect(one).toMatchObject({ state: 'queued', settled: code });
      expect(lost).toEqual([expect.objectContaining({ id: 'a' })]);
      expect(app.messaging.health()).toMatchObject({
        status: 'degraded',
        deadLetters: { publisher: 1 },
        retryQueue: { depth: 0 },
      });
      expect(app.logged('error')).toEqual([expect.stringContaining('Message a cannot be sent')]);
      const [letter] = await app.messaging.deadLetters.list();
      expect(letter).toMatchObject({
        id: 'a',
        reason: 'unsendable',
        body: Buffer.from('{"n":1}'),
        error: { code },
        route: 'order.created',
      });
      expect(letter.headers).toMatchObject({ tenant: 'x' });
      expect(app.clock.pending).toBe(0);
    },
  );

  test('one whose time to live ends while it waits is not sent any more, also while there is no connection', async () => {
    const app = await start();
    app.transport.disconnected();
    const short = app.publish('order.created', {}, { id: 'short', ttl: 1_500 });
    const long = app.publish('order.created', {}, { id: 'long', ttl: 60_000 });
    const forever = app.publish('order.created', {}, { id: 'forever' });
    await app.clock.advance(1_000);
    expect(short.settled).toBeUndefined();
    await app.clock.advance(1_000);
    expect(short.settled).toBe('MESSAGE_EXPIRED');
    expect(app.messaging.health()).toMatchObject({
      status: 'down',
      deadLetters: { publisher: 1 },
      retryQueue: { depth: 2 },
    });
    app.transport.connected();
    app.transport.settleAll(confirmed);
    await app.turn();
    expect(app.transport.publishedIds).toEqual(['long', 'forever']);
    expect([long.settled, forever.settled]).toEqual(['confirmed', 'confirmed']);
  });

  test('a time to live of a fraction of a millisecond more still ends', async () => {
    const app = await start();
    app.transport.disconnected();
    const one = app.publish('order.created', {}, { ttl: 10.5 });
    await app.clock.advance(1_000);
    expect(one.settled).toBe('MESSAGE_EXPIRED');
  });

  test('two with the same id are two dead letters, not one', async () => {
    const app = await start();
    app.transport.disconnected();
    app.publish('order.created', 1, { id: 'same' });
    app.publish('order.paid', 2, { id: 'same' });
    app.transport.connected();
    app.transport.settleAll(refused());
    await app.turn();
    expect(await app.messaging.deadLetters.count()).toBe(2);
    expect((await app.messaging.deadLetters.list()).map(({ route }) => route)).toEqual(['order.created', 'order.paid']);
  });

  test('they are bounded: the oldest makes room, with an error line that names it', async () => {
    const app = await start();
    app.transport.disconnected();
    for (let n = 0; n < 1_001; n++) app.publish('order.created', n, { id: `m${n}` });
    app.transport.connected();
    app.transport.settleAll(refused());
    await app.turn();
    expect(app.messaging.health().deadLetters.publisher).toBe(1_000);
    expect(app.logged('error').filter((line) => line.includes('message m0, is dropped'))).toHaveLength(1);
  });
});

describe('while the broker blocks', () => {
  test('what is under way gets a queued receipt and is confirmed later without a resend', async () => {
    const app = await start();
    const one = app.publish('order.created', {}, { id: 'a' });
    app.transport.blocked();
    await app.turn();
    expect(one).toMatchObject({ state: 'queued' });
    expect(app.messaging.health()).toMatchObject({
      status: 'degraded',
      connection: { blocked: true },
      retryQueue: { depth: 1 },
    });
    await app.clock.advance(60_000);
    expect(app.transport.publishedIds).toEqual(['a']);
    app.transport.unblocked();
    await app.clock.advance(60_000);
    expect(app.transport.publishedIds).toEqual(['a']);
    app.transport.settle(confirmed);
    await app.turn();
    expect(one.settled).toBe('confirmed');
    expect(app.transport.publishedIds).toEqual(['a']);
    expect(app.clock.pending).toBe(0);
  });

  test('nothing new is sent and nothing is sent again; all of it goes when the block ends, in order', async () => {
    const app = await start();
    app.publish('order.created', {}, { id: 'nacked' });
    app.transport.settle(failed());
    app.transport.blocked();
    const blocked = app.publish('order.created', {}, { id: 'new' });
    await app.clock.advance(10_000);
    expect(blocked.state).toBe('queued');
    expect(app.transport.publishedIds).toEqual(['nacked']);
    app.transport.unblocked();
    expect(app.transport.publishedIds).toEqual(['nacked', 'nacked', 'new']);
    expect(app.transport.breaches).toEqual([]);
  });

  test('a connection that ends while it is blocked is not taken for one that works when the block is lifted', async () => {
    const app = await start();
    app.transport.blocked();
    app.transport.disconnected();
    app.transport.environment.onEvent({ type: 'unblocked' });
    const one = app.publish('order.created', {});
    await app.turn();
    expect(one.state).toBe('queued');
    expect(app.messaging.health().status).toBe('down');
    expect(app.transport.batches).toEqual([]);
  });

  test('a block that is reported without a connection does not make it look connected', async () => {
    const app = await start();
    app.transport.disconnected();
    app.transport.environment.onEvent({ type: 'blocked', reason: 'low on disk' });
    expect(app.messaging.health().status).toBe('down');
  });
});
