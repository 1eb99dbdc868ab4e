import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, test } from '@jest/globals';
import { MESSAGING_EVENT_NAMES, MessagingEvents } from '../../../lib/events/messaging-events.js';
import { start } from '../support/application.js';
import { confirmed } from '../support/fake-transport.js';

describe('messaging.events', () => {
  test('calls listeners in order until they are taken off', () => {
    const events = new MessagingEvents(() => undefined);
    const calls: string[] = [];
    const first = (): void => void calls.push('first');
    events.on('connected', first);
    const off = events.on('connected', () => calls.push('second'));
    events.once('connected', () => calls.push('once'));
    const never = events.once('connected', () => calls.push('never'));
    never();
    events.emit('connected', { host: 'h' });
    off();
    events.emit('connected', { host: 'h' });
    events.off('connected', first);
    events.emit('connected', { host: 'h' });
    expect(calls).toEqual(['first', 'second', 'once', 'first']);
  });

  test('costs nothing without a listener: nobody is asked to build a payload', () => {
    const events = new MessagingEvents(() => undefined);
    expect(MESSAGING_EVENT_NAMES.some((name) => events.has(name))).toBe(false);
    const off = events.on('published', () => undefined);
    expect(MESSAGING_EVENT_NAMES.filter((name) => events.has(name))).toEqual(['published']);
    off();
    expect(events.has('published')).toBe(false);
  });

  test('refuses a name that does not exist', () => {
    const events = new MessagingEvents(() => undefined);
    expect(() => events.on('publishd' as never, () => undefined)).toThrow(/no event «publishd»; there are: connected/);
  });

  test('is published on diagnostics_channel as well', () => {
    const events = new MessagingEvents(() => undefined);
    const seen: unknown[] = [];
    const listener = (payload: unknown): void => void seen.push(payload);
    subscribe('nestjs-messaging:blocked', listener);
    expect(events.has('blocked')).toBe(true);
    events.emit('blocked', { reason: 'memory' });
    unsubscribe('nestjs-messaging:blocked', listener);
    events.emit('blocked', { reason: 'disk' });
    expect(seen).toEqual([{ reason: 'memory' }]);
    expect(events.has('blocked')).toBe(false);
  });

  test('a listener that throws or rejects disturbs neither the others nor the message, and is logged', async () => {
    const app = await start();
    const seen: string[] = [];
    app.messaging.events.on('published', () => {
      throw new Error('thrown at amqp://u:secret@h');
    });
    // What an async function is to a caller that takes a function returning nothing.
    const rejects = (): void => Promise.reject(new Error('rejected')) as never;
    app.messaging.events.on('published', rejects);
    app.messaging.events.on('published', ({ id }) => seen.push(id));
    const one = app.publish('r', 1, { id: 'a' });
    app.transport.settle(confirmed);
    await app.turn();
    expect([one.state, seen]).toEqual(['confirmed', ['a']]);
    expect(app.logged('error')).toEqual([
      'A listener of messaging.events threw: thrown at amqp://***@h',
      'A listener of messaging.events threw: rejected',
    ]);
  });

  test('a listener may publish, also while a connection is being lost', async () => {
    const app = await start({ retryQueue: { maxMessages: 5 }, maxInFlight: 2 });
    let published = 0;
    app.messaging.events.on('queued', () => {
      if (published++ < 2) void app.publisher.publish('r', 'from the listener', { id: `listener ${published}` });
    });
    for (const id of ['a', 'b', 'c']) app.publish('r', 1, { id });
    app.transport.disconnected();
    await app.turn();
    expect(app.retryQueue.depth).toBe(5);
    app.transport.answer = () => confirmed;
    app.transport.connected();
    await app.turn();
    expect([...app.transport.publishedIds].sort()).toEqual(['a', 'a', 'b', 'b', 'c', 'listener 1', 'listener 2']);
    expect(app.transport.breaches).toEqual([]);
  });
});
