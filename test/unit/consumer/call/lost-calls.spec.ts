import { describe, expect, test } from '@jest/globals';
import { deferred, start } from '../../support/application.js';
import { confirmed } from '../../support/fake-transport.js';

async function manual(request: object = {}) {
  const app = await start();
  app.transport.answer = () => confirmed;
  const calls: { attempt: number; signal: AbortSignal; end: ReturnType<typeof deferred<void>> }[] = [];
  const subscription = await app.subscribe((_, { attempt, signal }) => {
    const end = deferred();
    calls.push({ attempt, signal, end });
    return end.promise;
  }, request);
  return { app, calls, subscription };
}

describe('a call whose delivery is lost while it runs', () => {
  test('is not begun again while it runs; where it ends well, that settles the message when it has come again', async () => {
    const { app, calls, subscription } = await manual();
    subscription.lose(subscription.deliver({ id: 'a', deliveryCount: 0 }));
    const again = subscription.deliver({ id: 'a', deliveryCount: 1 });
    await app.turn();
    expect([calls.length, again.settlements]).toEqual([1, []]);
    calls[0].end.resolve();
    await app.turn();
    expect([calls.length, again.settlements]).toEqual([1, ['ack']]);
  });

  test('… also when it comes again after the end of the call', async () => {
    const { app, calls, subscription } = await manual();
    subscription.lose(subscription.deliver({ id: 'a', deliveryCount: 0 }));
    calls[0].end.resolve();
    await app.turn();
    const again = subscription.deliver({ id: 'a', deliveryCount: 1 });
    await app.turn();
    expect([calls.length, again.settlements]).toEqual([1, ['ack']]);
    expect(app.logged('warn').join()).toContain('ended well');
  });

  test('of two that are equal in everything, one is settled with it and the other one is called', async () => {
    const { app, calls, subscription } = await manual();
    subscription.lose(subscription.deliver({ id: 'a', deliveryCount: 0 }));
    calls[0].end.resolve();
    await app.turn();
    for (let n = 0; n < 2; n++) subscription.deliver({ id: 'a', deliveryCount: 1 });
    await app.turn();
    expect(calls).toHaveLength(2);
  });

  test('where it fails because its connection was gone, it is made again with no attempt spent', async () => {
    const { app, calls, subscription } = await manual();
    subscription.lose(subscription.deliver({ id: 'a', deliveryCount: 0 }));
    subscription.deliver({ id: 'a', deliveryCount: 1 });
    calls[0].end.reject(calls[0].signal.reason);
    await app.turn();
    expect(calls.map(({ attempt }) => attempt)).toEqual([1, 1]);
  });

  test('where it took longer than the broker waits, it spends an attempt, and says which option to set', async () => {
    const { app, calls, subscription } = await manual({ retry: { attempts: 2, backoff: 100 } });
    const first = subscription.deliver({ id: 'a', deliveryCount: 0 });
    await app.clock.advance(2_000);
    subscription.lose(first, 2_000);
    expect(app.logged('warn').join()).toMatch(/took message a back after 2000 ms.*«timeout».*consumer_timeout/);
    expect(app.messaging.health()).toMatchObject({
      status: 'degraded',
      consumers: [{ reason: expect.stringContaining('longer than the broker waits') }],
    });
    calls[0].end.reject(calls[0].signal.reason);
    const again = subscription.deliver({ id: 'a', deliveryCount: 1 });
    await app.turn();
    expect(again.settlements).toEqual(['ack']);
    expect(app.transport.last).toMatchObject({
      to: { kind: 'queue' },
      message: { headers: { 'messaging-attempt': 2 } },
    });
    const last = subscription.deliver({ id: 'a', direct: true, headers: { 'messaging-attempt': 2 }, deliveryCount: 0 });
    await app.clock.advance(2_000);
    subscription.lose(last, 2_000);
    calls[1].end.reject(calls[1].signal.reason);
    subscription.deliver({ id: 'a', direct: true, headers: { 'messaging-attempt': 2 }, deliveryCount: 1 });
    await app.turn();
    expect(calls).toHaveLength(2);
    expect(app.transport.last.message.headers['messaging-reason']).toBe('attempts-exhausted');
  });

  test('calls that had only just begun when another took too long spend none', async () => {
    const { app, calls, subscription } = await manual();
    const slow = subscription.deliver({ id: 'slow', deliveryCount: 0 });
    await app.clock.advance(1_900);
    const quick = subscription.deliver({ id: 'quick', deliveryCount: 0 });
    await app.clock.advance(100);
    for (const one of [slow, quick]) subscription.lose(one, 2_000);
    calls[1].end.reject(calls[1].signal.reason);
    await app.turn();
    subscription.deliver({ id: 'quick', deliveryCount: 1 });
    await app.turn();
    expect(calls.map(({ attempt }) => attempt)).toEqual([1, 1, 1]);
  });

  test('another message with its id, or one that was not delivered before, is called', async () => {
    const { app, calls, subscription } = await manual();
    subscription.lose(subscription.deliver({ id: 'a', deliveryCount: 0 }));
    subscription.deliver({ id: 'a', deliveryCount: 1, body: '{"another":1}' });
    subscription.deliver({ id: 'a', deliveryCount: 0 });
    await app.turn();
    expect(calls).toHaveLength(3);
  });

  test('messages without an id are called: nobody can say which one it was', async () => {
    const { app, calls, subscription } = await manual();
    subscription.lose(subscription.deliver({ id: '', deliveryCount: 0 }));
    subscription.deliver({ id: '', deliveryCount: 1 });
    await app.turn();
    expect(calls).toHaveLength(2);
  });

  test('a message that waits for its call can be lost again', async () => {
    const { app, calls, subscription } = await manual();
    subscription.lose(subscription.deliver({ id: 'a', deliveryCount: 0 }));
    subscription.lose(subscription.deliver({ id: 'a', deliveryCount: 1 }));
    const third = subscription.deliver({ id: 'a', deliveryCount: 2 });
    calls[0].end.resolve();
    await app.turn();
    expect([calls.length, third.settlements]).toEqual([1, ['ack']]);
    expect(app.messaging.health().consumers[0].inFlight).toBe(0);
  });
});

test('a long call that ended well, and whose ack nobody read, is not made again', async () => {
  const { app, calls, subscription } = await manual();
  subscription.deliver({ id: 'a', deliveryCount: 0 });
  await app.clock.advance(5_000);
  calls[0].end.resolve();
  await app.turn();
  subscription.state(false, 'heartbeat');
  subscription.state(true);
  const again = subscription.deliver({ id: 'a', deliveryCount: 1 });
  await app.turn();
  expect([calls.length, again.settlements]).toEqual([1, ['ack']]);
});
