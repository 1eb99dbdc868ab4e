import { describe, expect, test } from '@jest/globals';
import { bounded } from '../../../../lib/consumer/schedule/concurrency.js';
import { RetryLaterError } from '../../../../lib/errors/handling-errors.js';
import type { SubscribeRequest } from '../../../../lib/consumer/subscription/subscription-options.js';
import type { TransportCapabilities } from '../../../../lib/transport/capabilities.js';
import { type Application, deferred, start } from '../../support/application.js';
import { type FakeSubscription, FakeTransport, confirmed } from '../../support/fake-transport.js';

const NOT_BEFORE = 'messaging-not-before';

async function counting(
  capabilities: Partial<TransportCapabilities> = {},
  request: Partial<SubscribeRequest> = {},
): Promise<{ app: Application; subscription: FakeSubscription; attempts: number[] }> {
  const app = await start({}, new FakeTransport(capabilities));
  app.transport.answer = () => confirmed;
  const attempts: number[] = [];
  const subscription = await app.subscribe((_, { attempt }) => void attempts.push(attempt), request);
  return { app, subscription, attempts };
}

describe('messaging-not-before: no handler is called before this time', () => {
  test('one that comes too early is sent back until then, and no attempt is spent', async () => {
    const { app, subscription, attempts } = await counting();
    const due = app.clock.now() + 5_000;
    const early = subscription.deliver({ direct: true, headers: { 'messaging-attempt': 3, [NOT_BEFORE]: due } });
    await app.turn();
    expect([early.settlements, attempts]).toEqual([['ack'], []]);
    expect(app.transport.last).toMatchObject({
      to: { kind: 'queue', queue: early.queue },
      dueAt: due,
      message: { headers: { 'messaging-attempt': 3, [NOT_BEFORE]: due } },
    });
    await app.clock.advance(5_000);
    subscription.deliver({ direct: true, headers: app.transport.last.message.headers });
    await app.turn();
    expect(attempts).toEqual([3]);
    expect(app.transport.batches).toHaveLength(1);
  });

  test.each<[string, Partial<TransportCapabilities>]>([
    ['redelivers by itself', { retry: 'redelivery' }],
    ['cannot delay', { maxDelayMs: 0 }],
  ])('a transport that %s is asked to hold the message as it is', async (_, capabilities) => {
    const { app, subscription, attempts } = await counting(capabilities);
    const headers = { [NOT_BEFORE]: app.clock.now() + 5_000 };
    const early = subscription.deliver({ direct: true, deliveryCount: 0, headers });
    await app.turn();
    expect(early.settlements).toEqual(['release 5000']);
    await app.clock.advance(5_000);
    const due = subscription.deliver({ id: early.message.id, direct: true, deliveryCount: 1, headers });
    await app.turn();
    expect([due.settlements, attempts, app.transport.batches]).toEqual([['ack'], [1], []]);
  });

  test('a difference of the clocks of up to 100 ms is nobody’s wait', async () => {
    const { app, subscription, attempts } = await counting();
    subscription.deliver({ direct: true, headers: { [NOT_BEFORE]: app.clock.now() + 100 } });
    await app.turn();
    expect(attempts).toHaveLength(1);
    subscription.deliver({ direct: true, headers: { [NOT_BEFORE]: app.clock.now() + 101 } });
    await app.turn();
    expect(attempts).toHaveLength(1);
  });

  test.each<[string, boolean, (now: number) => unknown, boolean]>([
    ['on a route, as far as a publish can be delayed', false, (now) => now + 60_000, true],
    ['on a route, not beyond that', false, (now) => now + 60_001, false],
    ['on our own copies, beyond one delay of the transport', true, (now) => now + 3_600_000, true],
    ['a time out of reach is not believed', true, (now) => now + 2 ** 33, false],
    ['nor a text', true, () => 'tomorrow', false],
    ['nor a negative number', true, () => -1, false],
  ])('is honoured within bounds: %s', async (_, direct, value, honoured) => {
    const { app, subscription, attempts } = await counting({ maxDelayMs: 60_000 });
    subscription.deliver({ direct, headers: { [NOT_BEFORE]: value(app.clock.now()) as never } });
    await app.turn();
    expect(attempts).toHaveLength(honoured ? 0 : 1);
  });

  test('a wait longer than the transport’s own delay is made in several hops', async () => {
    const app = await start({}, new FakeTransport({ maxDelayMs: 900_000 }));
    app.transport.answer = () => confirmed;
    let calls = 0;
    const subscription = await app.subscribe(() => {
      if (++calls === 1) throw new RetryLaterError(2_000_000);
    });
    const begin = app.clock.now();
    subscription.deliver();
    await app.turn();
    const hops: number[] = [];
    while (calls === 1) {
      const { dueAt, message } = app.transport.last;
      expect(message.headers).toMatchObject({ 'messaging-attempt': 2, [NOT_BEFORE]: begin + 2_000_000 });
      hops.push(dueAt! - begin);
      await app.clock.advance(dueAt! - app.clock.now());
      subscription.deliver({ direct: true, headers: message.headers });
      await app.turn();
    }
    expect(hops).toEqual([900_000, 1_800_000, 2_000_000]);
  });

  test('an expired message is a dead letter at once, however early it is', async () => {
    const { app, subscription } = await counting();
    const now = app.clock.now();
    subscription.deliver({ direct: true, headers: { [NOT_BEFORE]: now + 5_000, 'messaging-expires-at': now } });
    await app.turn();
    expect(app.transport.last.message.headers['messaging-reason']).toBe('expired');
  });
});

describe('a give-back keeps the wait that is left', () => {
  const blocked = async (delay: number) => {
    const app = await start();
    const handling = deferred();
    const subscription = await app.subscribe(() => handling.promise, { delay, concurrency: bounded(1) });
    subscription.deliver({ direct: true, headers: { 'messaging-attempt': 1 } });
    await app.turn();
    return { app, handling, subscription };
  };

  test('one whose first handling was still to be deferred comes back after the delay, not at once', async () => {
    const { app, handling, subscription } = await blocked(2_000);
    const waiting = subscription.deliver({ id: 'waiting', deliveryCount: 1 });
    const stopped = app.messaging.stopIntake();
    await app.turn();
    expect(app.transport.last).toMatchObject({
      dueAt: app.clock.now() + 2_000,
      message: { id: 'waiting', headers: { 'messaging-attempt': 1, [NOT_BEFORE]: app.clock.now() + 2_000 } },
    });
    app.transport.settle(confirmed);
    handling.resolve();
    await stopped;
    expect(waiting.settlements).toEqual(['ack']);
  });

  test('one that is early comes back in its time', async () => {
    const { app, handling, subscription } = await blocked(0);
    const due = app.clock.now() + 7_000;
    const headers = { 'messaging-attempt': 2, [NOT_BEFORE]: due };
    subscription.deliver({ id: 'early', direct: true, deliveryCount: 1, headers });
    const stopped = app.messaging.stopIntake();
    await app.turn();
    expect(app.transport.last).toMatchObject({ dueAt: due, message: { id: 'early', headers } });
    app.transport.settle(confirmed);
    handling.resolve();
    await stopped;
  });
});
