import { describe, expect, test } from '@jest/globals';
import { bounded } from '../../../lib/consumer/schedule/concurrency.js';
import { partitioned } from '../../../lib/consumer/schedule/partitioned.js';
import { UnrecoverableError } from '../../../lib/errors/handling-errors.js';
import { Outcome } from '../../../lib/pipeline/outcome.js';
import { deferred, start } from '../support/application.js';
import { type FakeDelivery, FakeTransport, confirmed } from '../support/fake-transport.js';

async function guarded(killSwitch: object = {}, options: object = {}) {
  const app = await start({ retry: { attempts: 9, backoff: 50 } }, new FakeTransport());
  app.transport.answer = () => confirmed;
  const calls: { id: string; end: ReturnType<typeof deferred<unknown>> }[] = [];
  const subscription = await app.subscribe(
    (_, { id }) => {
      const end = deferred<unknown>();
      calls.push({ id, end });
      return end.promise;
    },
    { killSwitch: { failures: 2, of: 3, probeAfter: 1_000, ...killSwitch }, ...options },
  );
  const health = () => app.messaging.health().consumers[0];
  const call = async (error?: unknown): Promise<FakeDelivery> => {
    const delivery = subscription.deliver();
    await app.turn();
    await end(calls.length - 1, error);
    return delivery;
  };
  const end = async (at: number, error?: unknown): Promise<void> => {
    if (error === undefined) calls[at].end.resolve(undefined);
    else calls[at].end.reject(error);
    await app.turn();
  };
  const trip = async (): Promise<void> => {
    for (let n = 0; n < 2; n++) await call(new Error('down'));
  };
  return { app, subscription, calls, call, end, trip, health };
}

const down = new Error('down');

describe('a kill switch', () => {
  test('trips when so many of the last calls have failed: nothing is handled, and health and events say why', async () => {
    const { app, subscription, calls, call, health } = await guarded();
    const events = app.record('kill-switch');
    const stops = app.record('consumer-stopped');
    for (const error of [down, undefined, undefined, down, undefined]) await call(error);
    expect(health().state).toBe('consuming');
    await call(down);
    const reason = 'kill switch: 2 of the last 3 handler calls failed';
    expect(health()).toMatchObject({ state: 'paused', reason });
    expect(app.messaging.health().status).toBe('degraded');
    const queue = 'orders:order.created:queue';
    expect(events).toEqual([{ queue, state: 'tripped', reason }]);
    expect(stops).toEqual([{ queue, reason }]);
    expect(subscription.paused).toBe(true);
    const before = calls.length;
    const waits = subscription.deliver();
    await app.clock.advance(999);
    expect([calls.length, waits.settlements]).toEqual([before, []]);
  });

  test('probes with one message, and goes on with all when that succeeds', async () => {
    const { app, subscription, calls, end, trip, health } = await guarded();
    await trip();
    for (let n = 0; n < 3; n++) subscription.deliver();
    await app.clock.advance(1_000);
    expect(calls).toHaveLength(3);
    expect(health().state).toBe('paused');
    expect(subscription.paused).toBe(true);
    await end(2);
    expect(calls).toHaveLength(5);
    expect([health().state, subscription.paused]).toEqual(['consuming', false]);
  });

  test('takes a message from the queue for its probe, where none waits here', async () => {
    const { app, subscription, calls, trip } = await guarded();
    await trip();
    await app.clock.advance(1_000);
    expect(subscription.paused).toBe(false);
    subscription.deliver();
    subscription.deliver();
    await app.turn();
    expect([calls.length, subscription.paused]).toEqual([3, true]);
  });

  test('waits as long again when the probe fails, which spends an attempt of its message', async () => {
    const { app, subscription, calls, end, trip } = await guarded();
    await trip();
    subscription.deliver();
    subscription.deliver();
    await app.clock.advance(1_000);
    await end(2, down);
    expect(app.transport.last.message.headers).toMatchObject({ 'messaging-attempt': 2 });
    await app.clock.advance(999);
    expect(calls).toHaveLength(3);
    await app.clock.advance(1);
    expect(calls).toHaveLength(4);
  });

  test('does not count messages that are at fault themselves, nor calls without a result', async () => {
    const { calls, call, health } = await guarded({ failures: 1 });
    await call(new UnrecoverableError());
    expect(health().state).toBe('consuming');
    const { subscription, app } = await guarded({ failures: 1 });
    subscription.deliver({ body: '{', properties: { contentType: 'application/json' } });
    await app.turn();
    expect(app.messaging.health().consumers[0].state).toBe('consuming');
    expect(calls).toHaveLength(1);
  });

  test('a probe that says nothing is followed by another at once', async () => {
    const { app, subscription, calls, end, trip, health } = await guarded();
    await trip();
    for (let n = 0; n < 4; n++) subscription.deliver();
    await app.clock.advance(1_000);
    await end(2, new UnrecoverableError());
    expect(calls).toHaveLength(4);
    calls[3].end.resolve(Outcome.defer(5));
    await app.turn();
    expect(calls).toHaveLength(5);
    await end(4);
    expect(health().state).toBe('consuming');
  });

  test('a probe that is lost is followed by another', async () => {
    const { app, subscription, calls, end, trip, health } = await guarded();
    await trip();
    const probe = subscription.deliver();
    await app.clock.advance(1_000);
    subscription.lose(probe);
    subscription.deliver();
    await app.turn();
    expect(calls).toHaveLength(4);
    await end(3);
    expect(health().state).toBe('consuming');
  });

  test('handlers that run on when it trips change nothing', async () => {
    const { subscription, app, calls, end, health } = await guarded();
    for (let n = 0; n < 4; n++) subscription.deliver();
    await app.turn();
    for (const at of [0, 1]) await end(at, down);
    for (const at of [2, 3]) await end(at);
    expect(health().state).toBe('paused');
    expect(calls).toHaveLength(4);
  });

  test('resume by hand closes it; a pause by hand lasts over the probe', async () => {
    const { app, subscription, calls, trip, health } = await guarded();
    await trip();
    app.messaging.pause('order.created');
    subscription.deliver();
    await app.clock.advance(5_000);
    expect([calls.length, subscription.paused]).toEqual([2, true]);
    app.messaging.resume('order.created');
    await app.turn();
    expect([calls.length, health().state, subscription.paused]).toEqual([3, 'consuming', false]);
  });

  test('a shutdown while it has tripped gives back what waits, and leaves no timer', async () => {
    const { app, subscription, trip } = await guarded({}, { concurrency: bounded(1) });
    const timers = app.clock.timerCount;
    await trip();
    const waits = subscription.deliver();
    await app.messaging.stopIntake();
    expect(waits.settlements).toEqual(['release']);
    expect(app.clock.timerCount).toBeLessThanOrEqual(timers);
  });

  test('with lanes it stops the retries in place, and probes with the held message', async () => {
    const { app, subscription, calls, end, health } = await guarded({}, { concurrency: partitioned() });
    const headers = { 'messaging-key': 'k' };
    subscription.deliver({ id: 'a', headers });
    await app.turn();
    await end(0, down);
    await app.clock.advance(50);
    await end(1, down);
    await app.clock.advance(500);
    expect([calls.length, health().state]).toEqual([2, 'paused']);
    await app.clock.advance(500);
    expect(calls.map(({ id }) => id)).toEqual(['a', 'a', 'a']);
    await end(2);
    expect(health().state).toBe('consuming');
  });

  test.each([
    [{ failures: 0 }, 'killSwitch.failures'],
    [{ failures: 5, of: 4 }, 'killSwitch.of'],
    [{ probeAfter: 0 }, 'killSwitch.probeAfter'],
    [{ threshold: 1 }, 'killSwitch.threshold'],
  ])('%p is refused', async (options, option) => {
    await expect(guarded(options)).rejects.toMatchObject({ code: 'INVALID_OPTION', option });
  });
});
