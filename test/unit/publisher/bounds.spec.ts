import { describe, expect, test } from '@jest/globals';
import { type Application, start, type Tracked } from '../support/application.js';
import { confirmed, failed, unroutable } from '../support/fake-transport.js';

const ENTRY = 512;

describe('the retry queue is bounded', () => {
  test('by count: what is under way counts, so that it has room when the connection ends', async () => {
    const app = await start({ retryQueue: { maxMessages: 3 } });
    const all = Array.from({ length: 4 }, (_, n) => app.publish('order.created', {}, { id: `m${n}` }));
    expect(app.transport.pendingIds).toEqual(['m0', 'm1', 'm2']);
    app.transport.disconnected();
    await app.turn();
    expect(all.map(({ state }) => state)).toEqual(['queued', 'queued', 'queued', 'rejected']);
    expect(app.retryQueue.depth).toBe(3);
  });

  test('by bytes: bodies and a fixed amount for each message', async () => {
    const app = await start({ retryQueue: { maxBytes: 2 * (ENTRY + 100) } });
    app.transport.disconnected();
    const body = Buffer.alloc(100);
    const all = Array.from({ length: 3 }, () => app.publish('order.created', body));
    await app.turn();
    expect(all.map(({ state }) => state)).toEqual(['queued', 'queued', 'rejected']);
    expect(app.retryQueue.bytes).toBe(2 * (ENTRY + 100));
    app.transport.connected();
    app.transport.settleAll(confirmed);
    expect(app.retryQueue).toMatchObject({ depth: 0, bytes: 0 });
  });

  test('a message that could never be held is rejected at once and stands in nobody’s way', async () => {
    const app = await start({ retryQueue: { maxBytes: ENTRY + 10, whenFull: 'wait' } });
    app.publish('order.created', 1, { id: 'under way' });
    const large = app.publish('order.created', Buffer.alloc(11));
    const next = app.publish('order.created', 2, { id: 'next' });
    await app.turn();
    expect(large.error).toMatchObject({ code: 'MESSAGE_TOO_LARGE', retryable: false });
    app.transport.settle(confirmed);
    app.transport.settle(confirmed, 'next');
    await app.turn();
    expect(next.state).toBe('confirmed');
  });

  test('who waits in line behind a full queue is rejected when nothing under way can make room any more', async () => {
    const app = await start({ maxInFlight: 1, unroutable: 'queue', retryQueue: { maxMessages: 1 } });
    const first = app.publish('nobody', {}, { id: 'a' });
    const second = app.publish('order.created', {}, { id: 'b' });
    const third = app.publish('order.created', {}, { id: 'c' });
    app.transport.settle(unroutable(), 'a');
    await app.turn();
    expect(first.state).toBe('queued');
    expect([second.error?.code, third.error?.code]).toEqual(['RETRY_QUEUE_FULL', 'RETRY_QUEUE_FULL']);
  });

  test('who waits in line counts, so that everybody who may wait has room when the connection ends', async () => {
    const app = await start({ maxInFlight: 2, retryQueue: { maxMessages: 5 } });
    const all = Array.from({ length: 8 }, (_, n) => app.publish('order.created', {}, { id: `m${n}` }));
    await app.turn();
    expect(all.map(({ state }) => state)).toEqual([...Array(5).fill('pending'), ...Array(3).fill('rejected')]);
    expect(all[5].error).toMatchObject({ code: 'RETRY_QUEUE_FULL', retryable: true });
    app.transport.disconnected();
    await app.turn();
    expect(all.slice(0, 5).map(({ state }) => state)).toEqual(Array(5).fill('queued'));
  });

  test('by bytes in line, too, and behind the first of an ordered key', async () => {
    const app = await start({ maxInFlight: 1, retryQueue: { maxBytes: 4 * (ENTRY + 1) } });
    const ordered = { key: 'k', ordered: true };
    const all = Array.from({ length: 5 }, () => app.publish('order.created', 1, ordered));
    await app.turn();
    expect(all.map(({ state }) => state)).toEqual([...Array(4).fill('pending'), 'rejected']);
    app.transport.answer = () => confirmed;
    app.transport.settle(confirmed);
    await app.turn();
    expect(all.map(({ state }) => state)).toEqual([...Array(4).fill('confirmed'), 'rejected']);
    const again = app.publish('order.created', 1, ordered);
    await app.turn();
    expect(again.state).toBe('confirmed');
  });

  test('a burst that nobody awaits is taken up to the bound, and told so beyond it', async () => {
    const app = await start();
    const all = Array.from({ length: 15_000 }, (_, n) => app.publish('order.created', n));
    await app.turn();
    expect(all.filter(({ error }) => error?.code === 'RETRY_QUEUE_FULL')).toHaveLength(5_000);
    expect(all.slice(0, 10_000).every(({ state }) => state === 'pending')).toBe(true);
    app.transport.answer = () => confirmed;
    app.transport.settleAll(confirmed);
    for (let n = 0; n < 10; n++) await app.turn();
    expect(all.filter(({ state }) => state === 'confirmed')).toHaveLength(10_000);
  });

  test('maxInFlight makes publishes wait in order, not fail', async () => {
    const app = await start({ maxInFlight: 2 });
    const all = ['a', 'b', 'c', 'd'].map((id) => app.publish('order.created', {}, { id }));
    expect(app.transport.pendingIds).toEqual(['a', 'b']);
    app.transport.answer = () => confirmed;
    app.transport.settle(confirmed, 'b');
    await app.turn();
    app.transport.settle(confirmed, 'a');
    await app.turn();
    expect(app.transport.publishedIds).toEqual(['a', 'b', 'c', 'd']);
    expect(all.every(({ state }) => state === 'confirmed')).toBe(true);
  });
});

describe('whenFull: wait', () => {
  const waiting = async (): Promise<{ app: Application; held: Tracked; one: Tracked }> => {
    const app = await start({ retryQueue: { maxMessages: 1, whenFull: 'wait', waitTimeout: 5_000 } });
    app.transport.disconnected();
    const held = app.publish('order.created', {}, { id: 'held', ttl: 1_500 });
    const one = app.publish('order.created', {}, { id: 'one' });
    await app.turn();
    expect([held.state, one.state]).toEqual(['queued', 'pending']);
    return { app, held, one };
  };

  test('a publish waits for room and is rejected at its deadline', async () => {
    const app = await start({ retryQueue: { maxMessages: 1, whenFull: 'wait', waitTimeout: 5_000 } });
    app.transport.disconnected();
    app.publish('order.created', {});
    await app.clock.advance(1_000);
    const one = app.publish('order.created', {});
    await app.clock.advance(4_999);
    expect(one.state).toBe('pending');
    await app.clock.advance(1);
    expect(one.error).toMatchObject({ code: 'RETRY_QUEUE_FULL', message: expect.stringContaining('5000 ms') });
  });

  test('a confirmed message makes room, and no timer of the waiting one is left', async () => {
    const { app, one } = await waiting();
    app.transport.connected();
    app.transport.settle(confirmed, 'held');
    app.transport.settle(confirmed, 'one');
    await app.turn();
    expect(one.state).toBe('confirmed');
    expect(app.clock.pending).toBe(0);
  });

  test('an expired message makes room, also while there is no connection', async () => {
    const { app, held, one } = await waiting();
    await app.clock.advance(2_000);
    expect([held.settled, one.state]).toEqual(['MESSAGE_EXPIRED', 'queued']);
  });

  test('nobody overtakes who waits for room, whatever its size', async () => {
    const app = await start({ retryQueue: { maxBytes: 4 * ENTRY, whenFull: 'wait' } });
    app.transport.disconnected();
    app.publish('order.created', Buffer.alloc(1_000), { id: 'held' });
    const large = app.publish('order.created', Buffer.alloc(500), { id: 'large', key: 'k', ordered: true });
    const small = app.publish('order.created', Buffer.alloc(1), { id: 'small', key: 'k', ordered: true });
    const later = app.publish('order.created', Buffer.alloc(1), { id: 'later' });
    await app.turn();
    expect([large.state, small.state, later.state]).toEqual(['pending', 'pending', 'pending']);
    app.transport.answer = () => confirmed;
    app.transport.connected();
    await app.turn();
    expect(app.transport.publishedIds.indexOf('large')).toBeLessThan(app.transport.publishedIds.indexOf('small'));
    expect([large.state, small.state, later.state]).toEqual(['confirmed', 'confirmed', 'confirmed']);
  });

  test('a large message in line and a small one that waits for room do not turn each other round for ever', async () => {
    const app = await start({ unroutable: 'queue', retryQueue: { maxBytes: 4 * ENTRY, whenFull: 'wait' } });
    app.publish('nobody', Buffer.alloc(1_000), { id: 'q1' });
    app.publish('nobody', Buffer.alloc(1), { id: 'q2' });
    app.transport.settleAll(unroutable());
    const small = app.publish('order.created', Buffer.alloc(20), { id: 'small' });
    await app.clock.advance(1_000);
    const large = app.publish('order.created', Buffer.alloc(1_000), { id: 'large' });
    app.transport.settle(confirmed, 'q2');
    app.transport.settle(unroutable(), 'q1');
    app.transport.answer = () => confirmed;
    await app.clock.advance(1_000);
    app.transport.settleAll(confirmed);
    await app.clock.advance(1_000);
    expect([small.state, large.state]).toEqual(['confirmed', 'confirmed']);
  });

  test('as many as may be held may wait as well; one more is rejected at once', async () => {
    const app = await start({ retryQueue: { maxMessages: 2, whenFull: 'wait', waitTimeout: 5_000 } });
    app.transport.disconnected();
    const all = Array.from({ length: 5 }, () => app.publish('order.created', {}));
    await app.turn();
    expect(all.map(({ state }) => state)).toEqual(['queued', 'queued', 'pending', 'pending', 'rejected']);
    expect(all[4].error).toMatchObject({ code: 'RETRY_QUEUE_FULL', message: expect.stringContaining('wait for room') });
    await app.clock.advance(5_000);
    expect(all.slice(2, 4).map(({ state }) => state)).toEqual(['rejected', 'rejected']);
    const next = app.publish('order.created', {});
    await app.turn();
    expect(next.state).toBe('pending');
  });

  test('a shutdown does not wait for the deadline when the last one that waited has given up', async () => {
    const app = await start({
      retryQueue: { maxMessages: 1, whenFull: 'wait', waitTimeout: 50 },
      shutdownTimeout: 9_000,
    });
    app.transport.disconnected();
    app.publish('order.created', {}, { ttl: 10 });
    app.publish('order.created', {});
    await app.turn();
    let closed = false;
    void app.messaging.close().then(() => (closed = true));
    await app.clock.advance(1_000);
    expect(closed).toBe(true);
  });
});

test('a failed resend never counts twice against the bounds', async () => {
  const app = await start({ retryQueue: { maxMessages: 2 } });
  app.publish('order.created', {}, { id: 'a' });
  for (let pass = 0; pass < 5; pass++) {
    app.transport.settle(failed(), 'a');
    await app.clock.advance(1_000);
    expect(app.retryQueue).toMatchObject({ depth: 1, bytes: ENTRY + 2 });
  }
  const other = app.publish('order.created', {}, { id: 'b' });
  expect(app.transport.pendingIds).toEqual(['a', 'b']);
  app.transport.settleAll(confirmed);
  await app.turn();
  expect(other.state).toBe('confirmed');
  expect(app.retryQueue).toMatchObject({ depth: 0, bytes: 0 });
});
