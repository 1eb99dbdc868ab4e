import { describe, expect, test } from '@jest/globals';
import { start } from '../support/application.js';
import { confirmed, failed, refused, unroutable } from '../support/fake-transport.js';

describe('a pass through the retry queue', () => {
  test('begins as soon as the connection is back and takes the messages in their order, as one batch', async () => {
    const app = await start();
    app.transport.disconnected();
    for (const id of ['a', 'b', 'c']) app.publish('order.created', {}, { id });
    app.transport.connected();
    expect(app.transport.batches.map((batch) => batch.map(({ message }) => message.id))).toEqual([['a', 'b', 'c']]);
  });

  test('leaves what fails again in its place', async () => {
    const app = await start({ unroutable: 'queue' });
    app.transport.disconnected();
    for (const id of ['a', 'b', 'c']) app.publish('order.created', {}, { id });
    app.transport.connected();
    app.transport.settle(failed(), 'a');
    app.transport.settle(confirmed, 'b');
    app.transport.settle(unroutable(), 'c');
    await app.clock.advance(1_000);
    expect(app.transport.publishedIds).toEqual(['a', 'b', 'c', 'a', 'c']);
  });

  test('has no more under way than the window allows', async () => {
    const app = await start({ maxInFlight: 2 });
    app.transport.disconnected();
    for (const id of ['a', 'b', 'c', 'd']) app.publish('order.created', {}, { id });
    app.transport.connected();
    expect(app.transport.pendingIds).toEqual(['a', 'b']);
    app.transport.settle(confirmed, 'b');
    expect(app.transport.pendingIds).toEqual(['a', 'c']);
  });

  test('that takes longer than the interval goes on, so that the end of the queue is reached', async () => {
    const app = await start({ maxInFlight: 1, unroutable: 'queue' });
    app.transport.disconnected();
    for (const id of ['a', 'b', 'c', 'd']) app.publish('order.created', {}, { id });
    app.transport.connected();
    for (let n = 0; n < 4; n++) {
      await app.clock.advance(1_500);
      app.transport.settle(unroutable());
    }
    expect(app.transport.publishedIds.slice(0, 4)).toEqual(['a', 'b', 'c', 'd']);
    await app.clock.advance(1_000);
    expect(app.transport.publishedIds[4]).toBe('a');
  });

  test('goes before new messages when the connection is back', async () => {
    const app = await start({ maxInFlight: 1 });
    const first = app.publish('order.created', {}, { id: 'under way' });
    const second = app.publish('order.created', {}, { id: 'in line' });
    app.transport.disconnected();
    await app.turn();
    expect([first.state, second.state]).toEqual(['queued', 'queued']);
    app.transport.connected();
    app.publish('order.created', {}, { id: 'new' });
    for (let n = 0; n < 3; n++) app.transport.settle(confirmed);
    expect(app.transport.publishedIds).toEqual(['under way', 'under way', 'in line', 'new']);
  });

  test('sends the messages of one key one after the other, without waiting for the next pass', async () => {
    const app = await start();
    app.transport.disconnected();
    for (const id of ['a', 'b', 'c']) app.publish('order.created', {}, { id, key: 'k' });
    app.publish('order.created', {}, { id: 'other', key: 'l' });
    app.publish('order.created', {}, { id: 'free' });
    app.transport.connected();
    expect(app.transport.pendingIds).toEqual(['a', 'other', 'free']);
    app.transport.settle(confirmed, 'a');
    expect(app.transport.pendingIds).toEqual(['other', 'free', 'b']);
    app.transport.settle(failed(), 'b');
    expect(app.transport.pendingIds).toEqual(['other', 'free']);
    await app.clock.advance(1_000);
    expect(app.transport.pendingIds).toEqual(['other', 'free', 'b']);
  });

  test('begins again from the front after every reconnect', async () => {
    const app = await start({ maxInFlight: 1 });
    app.transport.disconnected();
    for (const id of ['a', 'b', 'c']) app.publish('order.created', {}, { id });
    app.transport.connected();
    app.transport.settle(failed());
    expect(app.transport.pendingIds).toEqual(['b']);
    app.transport.disconnected();
    app.transport.connected();
    expect(app.transport.pendingIds).toEqual(['a']);
  });

  test('costs nothing when the queue is empty: no timer runs', async () => {
    const app = await start();
    app.publish('order.created', {});
    expect(app.clock.pending).toBe(0);
    app.transport.settle(failed());
    expect(app.clock.pending).toBe(1);
    await app.clock.advance(1_000);
    app.transport.settle(confirmed);
    expect(app.clock.pending).toBe(0);
  });

  test('reports how old the oldest one is', async () => {
    const app = await start();
    app.transport.disconnected();
    app.publish('order.created', {});
    await app.clock.advance(2_500);
    app.publish('order.created', {});
    expect(app.retryQueue).toMatchObject({ depth: 2, oldestAgeMs: 2_500 });
  });
});

describe('a key', () => {
  test('a message of a key never overtakes one that waits in the retry queue', async () => {
    const app = await start();
    const first = app.publish('order.created', {}, { id: 'a', key: 'k' });
    app.transport.settle(failed());
    await app.turn();
    expect(first.state).toBe('queued');
    const second = app.publish('order.created', {}, { id: 'b', key: 'k' });
    const other = app.publish('order.created', {}, { id: 'c', key: 'l' });
    await app.turn();
    expect(second.state).toBe('queued');
    expect(other.state).toBe('pending');
    expect(app.transport.publishedIds).toEqual(['a', 'c']);
    await app.clock.advance(1_000);
    expect(app.transport.publishedIds).toEqual(['a', 'c', 'a']);
    app.transport.settle(confirmed, 'a');
    expect(app.transport.publishedIds).toEqual(['a', 'c', 'a', 'b']);
    app.transport.settle(confirmed, 'b');
    await app.turn();
    expect([first.settled, second.settled]).toEqual(['confirmed', 'confirmed']);
    app.publish('order.created', {}, { id: 'd', key: 'k' });
    expect(app.transport.pendingIds).toEqual(['c', 'd']);
  });

  test('why a message is queued behind another one of its key is told, and it is not a lost connection', async () => {
    const app = await start();
    const queued = app.record('queued');
    app.publish('order.created', {}, { key: 'k' });
    app.transport.settle(failed());
    app.publish('order.created', {}, { key: 'k' });
    expect(queued[1].error).toMatchObject({ code: 'PUBLISH_FAILED', message: expect.stringContaining('key') });
  });

  test('what is under way at a block holds its key until it is confirmed', async () => {
    const app = await start();
    app.publish('order.created', {}, { id: 'a', key: 'k' });
    app.transport.blocked();
    app.publish('order.created', {}, { id: 'b', key: 'k' });
    app.transport.unblocked();
    await app.clock.advance(5_000);
    expect(app.transport.publishedIds).toEqual(['a']);
    app.transport.settle(confirmed, 'a');
    expect(app.transport.publishedIds).toEqual(['a', 'b']);
  });

  test('goes on when the message at its front is given up or expires', async () => {
    const app = await start();
    app.transport.disconnected();
    app.publish('order.created', {}, { id: 'a', key: 'k' });
    app.publish('order.created', {}, { id: 'b', key: 'k', ttl: 1_500 });
    app.publish('order.created', {}, { id: 'c', key: 'k' });
    await app.clock.advance(2_000);
    app.transport.connected();
    app.transport.settle(refused(), 'a');
    expect(app.transport.publishedIds).toEqual(['a', 'c']);
  });

  test('unordered publishes that nobody awaited are under way together', async () => {
    const app = await start();
    app.publish('order.created', {}, { id: 'a', key: 'k' });
    app.publish('order.created', {}, { id: 'b', key: 'k' });
    expect(app.transport.pendingIds).toEqual(['a', 'b']);
  });
});

describe('ordered: true', () => {
  const ordered = { key: 'k', ordered: true } as const;

  test('has one message of its key under way at a time, and other keys beside it', async () => {
    const app = await start();
    for (const id of ['a', 'b', 'c']) app.publish('order.created', {}, { id, ...ordered });
    app.publish('order.created', {}, { id: 'x', key: 'l', ordered: true });
    expect(app.transport.pendingIds).toEqual(['a', 'x']);
    app.transport.settle(confirmed, 'a');
    expect(app.transport.pendingIds).toEqual(['x', 'b']);
    app.transport.settle(confirmed, 'b');
    app.transport.settle(confirmed, 'c');
    expect(app.transport.publishedIds).toEqual(['a', 'x', 'b', 'c']);
  });

  test('a message that fails for a passing reason holds back its successors, in their order', async () => {
    const app = await start();
    const all = ['a', 'b', 'c'].map((id) => app.publish('order.created', {}, { id, ...ordered }));
    app.transport.settle(failed(), 'a');
    await app.turn();
    expect(all.map(({ state }) => state)).toEqual(['queued', 'queued', 'queued']);
    await app.clock.advance(1_000);
    expect(app.transport.pendingIds).toEqual(['a']);
    for (const id of ['a', 'b', 'c']) app.transport.settle(confirmed, id);
    await app.turn();
    expect(all.map(({ settled }) => settled)).toEqual(['confirmed', 'confirmed', 'confirmed']);
  });

  test('a message that can never be sent lets its successors go on', async () => {
    const app = await start();
    const [first, second] = ['a', 'b'].map((id) => app.publish('order.created', {}, { id, ...ordered }));
    app.transport.settle(unroutable(), 'a');
    app.transport.settle(confirmed, 'b');
    await app.turn();
    expect([first.state, second.state]).toEqual(['rejected', 'confirmed']);
  });

  test('who waits behind the one under way is not kept waiting while the broker blocks', async () => {
    const app = await start();
    const all = ['a', 'b', 'c'].map((id) => app.publish('order.created', {}, { id, ...ordered }));
    app.transport.blocked();
    await app.turn();
    expect(all.map(({ state }) => state)).toEqual(['queued', 'queued', 'queued']);
    app.transport.unblocked();
    expect(app.transport.publishedIds).toEqual(['a']);
    for (const id of ['a', 'b', 'c']) app.transport.settle(confirmed, id);
    expect(app.transport.publishedIds).toEqual(['a', 'b', 'c']);
  });

  test('a full retry queue rejects one of them without forgetting those behind it', async () => {
    const app = await start({ retryQueue: { maxMessages: 1 } });
    const first = app.publish('order.created', {}, { id: 'a', ...ordered });
    const second = app.publish('order.created', {}, { id: 'b', ...ordered });
    app.transport.blocked();
    const third = app.publish('order.created', {}, { id: 'c', ...ordered });
    await app.turn();
    expect(first.state).toBe('queued');
    expect([second.error?.code, third.error?.code]).toEqual(['RETRY_QUEUE_FULL', 'RETRY_QUEUE_FULL']);
  });

  test('one that waits in line for the window takes its successors along when the connection ends', async () => {
    const app = await start({ maxInFlight: 1, retryQueue: { maxMessages: 2 } });
    const other = app.publish('order.created', {}, { id: 'other' });
    const all = ['a', 'b', 'c'].map((id) => app.publish('order.created', {}, { id, ...ordered }));
    app.transport.disconnected();
    await app.turn();
    expect(other.state).toBe('queued');
    expect(all.map(({ state }) => state)).toEqual(['queued', 'rejected', 'rejected']);
  });

  test('the order holds between those that waited behind the one under way and those that came later', async () => {
    const app = await start({ maxInFlight: 1 });
    app.publish('order.created', {}, { id: 'x', key: 'k' });
    app.publish('order.created', {}, { id: 'a', ...ordered });
    app.publish('order.created', {}, { id: 'b', ...ordered });
    app.transport.settle(failed(), 'x');
    app.publish('order.created', {}, { id: 'c', ...ordered });
    app.transport.answer = () => confirmed;
    await app.clock.advance(1_000);
    expect(app.transport.publishedIds).toEqual(['x', 'x', 'a', 'b', 'c']);
  });

  test('ten thousand of one key need neither a deep stack nor a long time', async () => {
    const app = await start();
    app.transport.disconnected();
    const all = Array.from({ length: 9_000 }, (_, n) => app.publish('order.created', n, ordered));
    app.transport.connected();
    app.transport.answer = () => confirmed;
    app.transport.settle(confirmed);
    await app.turn();
    expect(all.every(({ settled }) => settled === 'confirmed')).toBe(true);
    expect(app.transport.published.map(({ message }) => Number(message.body.toString()))).toEqual(all.map((_, n) => n));
  });

  test('needs a key', async () => {
    const app = await start();
    const one = app.publish('order.created', {}, { ordered: true });
    await app.turn();
    expect(one.error).toMatchObject({ code: 'INVALID_OPTION', option: 'ordered' });
  });
});
