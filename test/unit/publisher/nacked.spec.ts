import { describe, expect, test } from '@jest/globals';
import { start } from '../support/application.js';
import { confirmed, failed, nacked } from '../support/fake-transport.js';

describe('a message that the broker declines', () => {
  test('waits twice as long after each time, up to a minute', async () => {
    const app = await start();
    const sent: number[] = [];
    app.transport.answer = () => {
      sent.push(app.clock.monotonic() / 1_000);
      return nacked();
    };
    app.publish('order.created', {}, { id: 'a' });
    await app.clock.advance(200_000);
    expect(sent).toEqual([0, 1, 3, 7, 15, 31, 63, 123, 183]);
  });

  test('holds up no other message, and its key only', async () => {
    const app = await start();
    app.transport.answer = ({ message }) => (message.id.startsWith('full') ? nacked() : confirmed);
    app.publish('order.created', {}, { id: 'full', key: 'k' });
    await app.turn();
    const sameKey = app.publish('order.created', {}, { id: 'behind', key: 'k' });
    const other = app.publish('order.created', {}, { id: 'other', key: 'x' });
    await app.clock.advance(10_000);
    expect([other.state, sameKey.state, sameKey.settled]).toEqual(['confirmed', 'queued', undefined]);
    app.transport.answer = () => confirmed;
    await app.clock.advance(6_000);
    expect(sameKey.settled).toBe('confirmed');
    expect(app.transport.publishedIds.slice(-2)).toEqual(['full', 'behind']);
  });

  test('is not punished for an outage, nor for a confirm that did not come: those are tried in each pass', async () => {
    const app = await start();
    app.transport.answer = () => failed('no confirm in time');
    app.publish('order.created', {}, { id: 'a' });
    await app.clock.advance(5_500);
    expect(app.transport.publishedIds).toHaveLength(6);
    app.transport.disconnected();
    await app.clock.advance(60_000);
    app.transport.answer = () => confirmed;
    app.transport.connected();
    await app.turn();
    expect(app.retryQueue.depth).toBe(0);
    expect(app.messaging.health().retryQueue.nacked).toBeUndefined();
  });

  test('does not come earlier because the connection is back', async () => {
    const app = await start();
    app.transport.answer = () => nacked();
    app.publish('order.created', {}, { id: 'a' });
    await app.clock.advance(10_000);
    const sent = app.transport.published.length;
    app.transport.disconnected();
    app.transport.connected();
    await app.clock.advance(1_000);
    expect(app.transport.published).toHaveLength(sent);
  });

  test('keeps the backoff that its publisher wished, and ends with its attempts', async () => {
    const app = await start();
    app.transport.answer = () => nacked();
    const publish = app.publish('order.created', {}, { id: 'a', attempts: 3, backoff: 100 });
    await app.clock.advance(250);
    expect(app.transport.publishedIds).toHaveLength(3);
    expect(publish.settled).toBe('PUBLISH_FAILED');
  });

  test('degrades health with its route, is told in the log once, and both end when it is taken', async () => {
    const app = await start();
    app.transport.answer = () => nacked('a queue is full');
    for (let n = 0; n < 30; n++) app.publish(`order.${n % 12}`, {}, {});
    app.publish('order.0', {}, { topic: 'events' });
    await app.clock.advance(20_000);
    const { status, retryQueue } = app.messaging.health();
    expect(status).toBe('degraded');
    expect(retryQueue.nacked).toHaveLength(10);
    expect(retryQueue.nacked![0]).toEqual({
      to: 'order.0',
      since: new Date(app.clock.now() - 20_000).toISOString(),
      reason: 'a queue is full',
    });
    expect(app.logged('warn').filter((line) => line.includes('takes no messages'))).toHaveLength(13);
    app.transport.answer = () => confirmed;
    await app.clock.advance(60_000);
    expect(app.messaging.health().status).toBe('up');
    expect(app.retryQueue.depth).toBe(0);
  });
});
