import { describe, expect, test } from '@jest/globals';
import { bounded, unbounded } from '../../../lib/consumer/schedule/concurrency.js';
import type { MessageContext } from '../../../lib/pipeline/message-context.js';
import { Application, deferred, seeded, start } from '../support/application.js';
import { type FakeDelivery, FakeTransport, confirmed, failed } from '../support/fake-transport.js';

/** A subscription whose handlers run until the test ends them. */
async function manual(app: Application, options: object = {}) {
  const calls: { id: string; context: MessageContext; end: ReturnType<typeof deferred<void>> }[] = [];
  const subscription = await app.subscribe((_, context) => {
    const end = deferred();
    calls.push({ id: context.id, context, end });
    return end.promise;
  }, options);
  return { calls, subscription };
}

describe('a handler', () => {
  test('gets the payload and what there is to know about the message', async () => {
    const app = await start();
    let seen: MessageContext | undefined;
    const subscription = await app.subscribe((payload, context) => {
      seen = context;
      expect(payload).toEqual({ n: 1 });
    });
    const headers = { tenant: 'x', 'messaging-key': 'k', 'messaging-time': 1_000 };
    subscription.deliver({ id: 'a', headers, topic: 'events' });
    await app.turn();
    expect(seen).toMatchObject({
      id: 'a',
      route: 'order.created',
      queue: 'orders:order.created:queue',
      key: 'k',
      attempt: 1,
      time: 1_000,
      headers,
      raw: { raw: true },
    });
    expect(seen!.body.toString()).toBe('{"n":1}');
    await seen!.extend(1_000);
    await expect(seen!.extend(NaN)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });

  test('is wrapped by middleware, the module’s outside its own, first listed outermost', async () => {
    const calls: string[] = [];
    const named = (name: string) => async (context: MessageContext, next: () => Promise<unknown>) => {
      calls.push(`${name} ${JSON.stringify(context.payload)}`);
      await next();
      calls.push(`/${name}`);
    };
    const app = await start({ middleware: [named('a'), named('b')] });
    const subscription = await app.subscribe(() => calls.push('handler'), { middleware: [named('c')] });
    const delivery = subscription.deliver();
    await app.turn();
    expect(calls).toEqual(['a {"n":1}', 'b {"n":1}', 'c {"n":1}', 'handler', '/c', '/b', '/a']);
    expect(delivery.settlements).toEqual(['ack']);
  });

  test('that throws synchronously is a failed call like any other', async () => {
    const app = await start();
    const subscription = await app.subscribe(() => {
      throw new Error('at once');
    });
    subscription.deliver();
    await app.turn();
    expect(app.transport.last.message.headers['messaging-attempt']).toBe(2);
  });
});

describe('concurrency', () => {
  test('bounded(n) never runs more than n, and the rest in their order', async () => {
    const app = await start();
    const { calls, subscription } = await manual(app, { concurrency: bounded(2) });
    for (const id of ['a', 'b', 'c', 'd']) subscription.deliver({ id });
    await app.turn();
    expect(calls.map(({ id }) => id)).toEqual(['a', 'b']);
    expect(app.messaging.health().consumers[0].inFlight).toBe(4);
    calls[1].end.resolve();
    await app.turn();
    calls[0].end.reject(new Error('x'));
    await app.turn();
    expect(calls.map(({ id }) => id)).toEqual(['a', 'b', 'c']);
    app.transport.settle(confirmed);
    await app.turn();
    expect(calls.map(({ id }) => id)).toEqual(['a', 'b', 'c', 'd']);
  });

  test('unbounded() runs all that the broker hands out', async () => {
    const app = await start();
    const { calls, subscription } = await manual(app, { concurrency: unbounded(), prefetch: 50 });
    expect(subscription.options.prefetch).toBe(50);
    for (let n = 0; n < 50; n++) subscription.deliver();
    await app.turn();
    expect(calls).toHaveLength(50);
  });

  test.each([0, -1, 1.5, NaN, Infinity, '2'])('bounded(%p) is refused', (limit) => {
    expect(() => bounded(limit as number)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option: 'bounded(limit)' }),
    );
  });

  test('is never exceeded, and every delivery is settled at most once, in thousands of random steps', async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = seeded(seed);
      const below = (limit: number): number => Math.floor(random() * limit);
      const limit = 1 + below(4);
      const app = new Application({ shutdownTimeout: 2_000 }, new FakeTransport());
      await app.messaging.connect();
      app.transport.connected();
      const { calls, subscription } = await manual(app, { concurrency: bounded(limit), retry: { backoff: 10 } });
      const deliveries: FakeDelivery[] = [];
      const running = new Set<(typeof calls)[number]>();
      let known = 0;
      for (let n = 0; n < 120; n++) {
        const dice = random();
        if (dice < 0.4) deliveries.push(subscription.deliver({ deliveryCount: below(2) }));
        else if (dice < 0.5 && deliveries.length > 0) {
          const delivery = deliveries[below(deliveries.length)];
          if (delivery.settlements.length === 0 && !delivery.lost) subscription.lose(delivery);
        } else if (dice < 0.75 && running.size > 0) {
          const call = [...running][below(running.size)];
          running.delete(call);
          if (random() < 0.5) call.end.resolve();
          else call.end.reject(new Error('x'));
        } else if (app.transport.pending.length > 0) app.transport.settle(random() < 0.7 ? confirmed : failed());
        await app.turn();
        for (; known < calls.length; known++) running.add(calls[known]);
        if (running.size > limit) throw new Error(`Seed ${seed}: ${running.size} handlers run, ${limit} may`);
      }
      app.transport.answer = () => confirmed;
      app.transport.settleAll(confirmed);
      const stopped = app.messaging.stopIntake();
      await app.clock.advance(3_000);
      await stopped;
      const wrong = deliveries.filter(
        ({ lost, settlements }) => settlements.length > 1 || (!lost && settlements.length === 0),
      );
      expect(wrong).toEqual([]);
      expect(app.clock.pending).toBe(0);
    }
  });
});

describe('a result that no longer counts', () => {
  test('a lost delivery aborts its signal, and neither settles nor writes a copy', async () => {
    const app = await start();
    const settled = app.record('settled');
    const { calls, subscription } = await manual(app);
    const [ok, bad] = [subscription.deliver(), subscription.deliver()];
    await app.turn();
    const { signal } = calls[0].context;
    expect(signal.aborted).toBe(false);
    subscription.lose(ok);
    subscription.lose(bad);
    expect(signal.aborted).toBe(true);
    expect(signal.reason).toMatchObject({ code: 'DELIVERY_LOST' });
    expect(calls[1].context.signal.aborted).toBe(true);
    calls[0].end.resolve();
    calls[1].end.reject(new Error('x'));
    await app.turn();
    expect([ok.settlements, bad.settlements]).toEqual([[], []]);
    expect(app.transport.batches).toEqual([]);
    expect(settled.map(({ outcome }) => outcome)).toEqual(['released', 'released']);
    expect(app.messaging.health().consumers[0].inFlight).toBe(0);
  });

  test('a lost delivery that has not started is never started', async () => {
    const app = await start();
    const { calls, subscription } = await manual(app, { concurrency: bounded(1) });
    subscription.deliver({ id: 'a' });
    const waiting = subscription.deliver({ id: 'b' });
    subscription.lose(waiting);
    calls[0].end.resolve();
    await app.turn();
    expect(calls.map(({ id }) => id)).toEqual(['a']);
  });

  test('a handler that outlives its timeout has its signal aborted and its message retried; what it says later is ignored', async () => {
    const app = await start();
    const { calls, subscription } = await manual(app, { timeout: 1_000, retry: { backoff: 5 } });
    const late = subscription.deliver();
    const inTime = subscription.deliver();
    await app.clock.advance(999);
    calls[1].end.resolve();
    await app.clock.advance(1);
    expect(inTime.settlements).toEqual(['ack']);
    expect(calls[0].context.signal.reason).toMatchObject({ code: 'HANDLER_TIMEOUT' });
    expect(calls[1].context.signal.aborted).toBe(false);
    expect(app.transport.last.message.headers['messaging-attempt']).toBe(2);
    app.transport.settle(confirmed);
    calls[0].end.reject(new Error('late'));
    await app.turn();
    expect(late.settlements).toEqual(['ack']);
    expect(app.transport.batches).toHaveLength(1);
    expect(app.clock.pending).toBe(0);
  });

  test('a handler past its timeout keeps its slot until it ends, and health shows it', async () => {
    const app = await start();
    app.transport.answer = () => confirmed;
    const { calls, subscription } = await manual(app, { timeout: 1_000, concurrency: bounded(1) });
    const timers = app.clock.timerCount;
    const late = subscription.deliver({ id: 'late' });
    subscription.deliver({ id: 'next' });
    await app.clock.advance(1_000);
    expect([late.settlements, calls.map(({ id }) => id)]).toEqual([['ack'], ['late']]);
    expect(app.messaging.health()).toMatchObject({
      status: 'degraded',
      consumers: [{ state: 'consuming', inFlight: 1, reason: '1 handler past its timeout' }],
    });
    await app.clock.advance(500);
    expect(calls).toHaveLength(1);
    calls[0].end.reject(new Error('late'));
    await app.turn();
    expect(calls.map(({ id }) => id)).toEqual(['late', 'next']);
    expect(app.messaging.health()).toMatchObject({ status: 'up', consumers: [{ inFlight: 1 }] });
    calls[1].end.resolve();
    await app.clock.advance(1_000);
    expect(app.clock.timerCount).toBe(timers);
  });

  test('many handlers with a timeout share one timer, each is ended in its own time, and an idle subscription has none', async () => {
    const app = await start();
    const { calls, subscription } = await manual(app, { timeout: 1_000 });
    const timers = app.clock.timerCount;
    for (let at = 0; at < 5; at++) {
      subscription.deliver();
      await app.clock.advance(100);
    }
    expect(app.clock.timerCount).toBe(timers + 1);
    await app.clock.advance(700);
    expect(calls.map(({ context }) => context.signal.aborted)).toEqual([true, true, true, false, false]);
    for (const { end } of calls) end.resolve();
    await app.clock.advance(1_000);
    expect(calls.map(({ context }) => context.signal.aborted)).toEqual([true, true, true, false, false]);
    expect(app.clock.timerCount).toBe(timers);
  });

  test('one that does not end gives its slot free after as long again: the subscription goes on, and health still shows it', async () => {
    const app = await start();
    app.transport.answer = () => confirmed;
    const { calls, subscription } = await manual(app, { timeout: 1_000, concurrency: bounded(1) });
    subscription.deliver({ id: 'endless' });
    subscription.deliver({ id: 'next' });
    await app.clock.advance(1_999);
    expect(calls).toHaveLength(1);
    await app.clock.advance(1);
    expect(calls.map(({ id }) => id)).toEqual(['endless', 'next']);
    expect(app.logged('warn')).toEqual([
      expect.stringContaining('call 1 of message endless failed'),
      expect.stringContaining('a handler runs on long after its timeout'),
    ]);
    await app.clock.advance(1_000);
    expect(app.messaging.health().consumers[0].reason).toBe('2 handlers past their timeout');
    for (const { end } of calls) end.resolve();
    await app.turn();
    expect(app.messaging.health().consumers[0]).not.toHaveProperty('reason');
  });

  test('the intake’s end waits for a handler past its timeout while that has its slot, and never beyond the deadline', async () => {
    for (const [shutdownTimeout, waits] of [
      [10_000, 800],
      [300, 300],
    ]) {
      const app = await start({ shutdownTimeout });
      app.transport.answer = () => confirmed;
      const { subscription } = await manual(app, { timeout: 1_000 });
      subscription.deliver();
      await app.clock.advance(1_200);
      let stopped = false;
      void app.messaging.stopIntake().then(() => (stopped = true));
      await app.clock.advance(waits - 1);
      expect(stopped).toBe(false);
      await app.clock.advance(1);
      expect(stopped).toBe(true);
    }
  });

  test('without a timeout no message has a timer', async () => {
    const app = await start();
    const { subscription } = await manual(app);
    subscription.deliver();
    await app.turn();
    expect(app.clock.pending).toBe(0);
  });
});

describe('stop', () => {
  test('gives back what has not started without spending an attempt, waits for what runs, and starts nothing more', async () => {
    const app = await start();
    const { calls, subscription } = await manual(app, { concurrency: bounded(1) });
    const running = subscription.deliver({ id: 'a', deliveryCount: 0 });
    const waiting = subscription.deliver({ id: 'b', deliveryCount: 0 });
    let stopped = false;
    void app.messaging.stopIntake().then(() => (stopped = true));
    await app.turn();
    expect(subscription.stopped).toBe(1);
    expect(waiting.settlements).toEqual(['release']);
    const late = subscription.deliver({ id: 'c' });
    await app.clock.advance(5_000);
    expect(late.settlements).toEqual(['release']);
    expect([stopped, running.settlements]).toEqual([false, []]);
    expect(app.messaging.health().consumers[0]).toMatchObject({ state: 'stopped', inFlight: 1 });
    calls[0].end.resolve();
    await app.turn();
    expect([stopped, running.settlements]).toEqual([true, ['ack']]);
    expect(calls.map(({ id }) => id)).toEqual(['a']);
    expect(app.transport.batches).toEqual([]);
    expect(app.clock.pending).toBe(0);
  });

  test('what arrives until the broker has ended the intake is kept till then: given back before, it would come right back', async () => {
    const app = await start();
    const { calls, subscription } = await manual(app);
    const ended = deferred();
    subscription.onStop = () => ended.promise;
    const stopped = app.messaging.stopIntake();
    const late = subscription.deliver();
    await app.turn();
    expect(late.settlements).toEqual([]);
    ended.resolve();
    await stopped;
    expect(late.settlements).toEqual(['release']);
    expect(calls).toEqual([]);
  });

  test('a message that was redelivered before is given back as a fresh copy, so that the next process counts no crash', async () => {
    const app = await start();
    const { subscription } = await manual(app, { concurrency: bounded(1) });
    subscription.deliver({ deliveryCount: 1 });
    const waiting = subscription.deliver({
      id: 'b',
      deliveryCount: 2,
      direct: true,
      headers: { 'messaging-attempt': 3 },
    });
    void app.messaging.stopIntake();
    await app.turn();
    expect(waiting.settlements).toEqual([]);
    const { to, message, dueAt, dedupeId } = app.transport.published[0];
    expect({ to, dueAt, attempt: message.headers['messaging-attempt'] }).toEqual({
      to: { kind: 'queue', queue: waiting.queue },
      dueAt: undefined,
      attempt: 3,
    });
    // The copy that brought it here had `b:<queue>:3`: a broker that de-duplicates would swallow another one.
    expect(dedupeId).not.toBe(`b:${waiting.queue}:3`);
    app.transport.settle(confirmed);
    await app.turn();
    expect(waiting.settlements).toEqual(['ack']);
    await app.clock.advance(11_000);
  });

  test('… and as itself where the copy cannot be written', async () => {
    const app = await start();
    const { subscription } = await manual(app, { concurrency: bounded(1) });
    subscription.deliver({ deliveryCount: 0 });
    const waiting = subscription.deliver({ deliveryCount: 1 });
    const stopped = app.messaging.stopIntake();
    await app.turn();
    app.transport.settle(failed());
    await app.clock.advance(11_000);
    await stopped;
    expect(waiting.settlements).toEqual(['release']);
  });

  test('a handler that runs past the deadline has its signal aborted and its message given back; its result is ignored', async () => {
    const app = await start({ shutdownTimeout: 3_000 });
    const settled = app.record('settled');
    const { calls, subscription } = await manual(app);
    const delivery = subscription.deliver({ id: 'a', deliveryCount: 0 });
    const stopped = app.messaging.stopIntake();
    await app.clock.advance(3_000);
    await stopped;
    expect(delivery.settlements).toEqual(['release']);
    expect(calls[0].context.signal.reason).toMatchObject({ code: 'DELIVERY_LOST' });
    expect(app.logged('warn')).toEqual([expect.stringContaining('message a is given back')]);
    expect(settled).toEqual([expect.objectContaining({ outcome: 'released' })]);
    calls[0].end.reject(new Error('late'));
    await app.turn();
    expect(delivery.settlements).toEqual(['release']);
    expect(app.transport.batches).toEqual([]);
  });

  test('a slow broker has until the deadline to take the copy of what is given back, and two seconds more', async () => {
    const app = await start({ shutdownTimeout: 3_000 });
    const { subscription } = await manual(app, { concurrency: bounded(1) });
    subscription.deliver({ deliveryCount: 1 });
    const waiting = subscription.deliver({ deliveryCount: 1 });
    void app.messaging.stopIntake();
    await app.clock.advance(4_900);
    expect(waiting.settlements).toEqual([]);
    app.transport.settle(confirmed);
    await app.turn();
    expect(waiting.settlements).toEqual(['ack']);
    await app.clock.advance(2_000);
  });

  test('ends soon after the deadline though the broker takes no copy of what is given back', async () => {
    const app = await start({ shutdownTimeout: 3_000 });
    const { subscription } = await manual(app, { concurrency: bounded(1) });
    subscription.deliver({ deliveryCount: 1 });
    subscription.deliver({ deliveryCount: 1 });
    let stopped = false;
    void app.messaging.stopIntake().then(() => (stopped = true));
    await app.clock.advance(5_100);
    expect(stopped).toBe(true);
    expect(app.transport.pending).toHaveLength(2);
  });

  test('ends at the deadline though the broker never says that the intake has ended', async () => {
    const app = await start({ shutdownTimeout: 3_000 });
    const { subscription } = await manual(app);
    subscription.onStop = () => new Promise(() => {});
    const running = subscription.deliver({ deliveryCount: 0 });
    let stopped = false;
    void app.messaging.stopIntake().then(() => (stopped = true));
    await app.clock.advance(3_600);
    expect([stopped, running.settlements]).toEqual([true, ['release']]);
  });

  test('an intake that cannot be ended is an error line: the rest of the shutdown goes on', async () => {
    const app = await start();
    const { calls, subscription } = await manual(app);
    subscription.onStop = () => Promise.reject(new Error('channel gone at amqp://u:secret@h'));
    const delivery = subscription.deliver();
    const closing = app.messaging.close();
    await app.clock.advance(100);
    calls[0].end.resolve();
    await closing;
    expect(delivery.settlements).toEqual(['ack']);
    expect(app.logged('error')).toEqual([expect.stringContaining('amqp://***@h')]);
    expect(app.transport.closed).toBe(1);
  });

  test('called twice, both callers wait for the same end', async () => {
    const app = await start();
    const { calls } = await manual(app);
    const runtime = await app.messaging.subscribe({ route: 'order.paid' }, () => calls[0].end.promise);
    app.transport.subscriptions[0].deliver();
    app.transport.subscriptions[1].deliver();
    const ends: string[] = [];
    void runtime.stop().then(() => ends.push('subscription'));
    await app.turn();
    void app.messaging.stopIntake().then(() => ends.push('shutdown'));
    await app.clock.advance(1_000);
    expect(ends).toEqual([]);
    calls[0].end.resolve();
    await app.turn();
    expect(ends.sort()).toEqual(['shutdown', 'subscription']);
    expect(app.clock.pending).toBe(0);
  });

  test('a subscription that is still starting when it comes is stopped as soon as it has started', async () => {
    const app = await start();
    const starting = deferred();
    app.transport.onSubscribe = () => starting.promise;
    let calls = 0;
    const subscribing = app.messaging.subscribe({ route: 'order.created' }, () => calls++);
    await app.turn();
    await app.messaging.stopIntake();
    starting.resolve();
    await subscribing;
    const [subscription] = app.transport.subscriptions;
    expect(subscription.stopped).toBeGreaterThan(0);
    const delivery = subscription.deliver();
    await app.turn();
    expect([delivery.settlements, calls]).toEqual([['release'], 0]);
  });

  test('no subscription can be started after it', async () => {
    const app = await start();
    await app.messaging.stopIntake();
    await expect(app.subscribe(() => undefined)).rejects.toMatchObject({ code: 'PUBLISHER_CLOSED' });
  });
});

describe('pause', () => {
  test('starts no handler until resume; running ones finish, and health says so without being degraded', async () => {
    const app = await start();
    const stopped = app.record('consumer-stopped');
    const { calls, subscription } = await manual(app, { concurrency: bounded(1) });
    const running = subscription.deliver({ id: 'running' });
    subscription.deliver({ id: 'waiting' });
    app.messaging.pause('order.created');
    app.messaging.pause('order.created');
    subscription.state(false, 'paused');
    subscription.deliver({ id: 'late' });
    calls[0].end.resolve();
    await app.turn();
    expect([subscription.paused, running.settlements, calls.length]).toEqual([true, ['ack'], 1]);
    expect(app.messaging.health()).toMatchObject({ status: 'up', consumers: [{ state: 'paused', inFlight: 2 }] });
    expect(stopped).toEqual([{ queue: 'orders:order.created:queue', reason: 'paused' }]);
    app.messaging.resume('order.created');
    subscription.state(true);
    expect(subscription.paused).toBe(false);
    calls[1].end.resolve();
    await app.turn();
    expect(calls.map(({ id }) => id)).toEqual(['running', 'waiting', 'late']);
    expect(app.messaging.health().consumers[0].state).toBe('consuming');
  });

  test('a shutdown gives back what waits in a paused subscription', async () => {
    const app = await start();
    const { calls, subscription } = await manual(app);
    app.messaging.pause('order.created');
    const waiting = subscription.deliver({ deliveryCount: 0 });
    await app.messaging.stopIntake();
    expect([waiting.settlements, calls]).toEqual([['release'], []]);
    app.messaging.resume('order.created');
    expect(app.messaging.health().consumers[0].state).toBe('stopped');
    expect(calls).toEqual([]);
  });

  test('before the subscription has started, it starts paused', async () => {
    const app = await start();
    const starting = deferred();
    app.transport.onSubscribe = () => starting.promise;
    const subscribing = app.messaging.subscribe({ route: 'order.created' }, () => undefined);
    await app.turn();
    app.messaging.pause('order.created');
    starting.resolve();
    const subscription = await subscribing;
    expect([app.transport.subscriptions[0].paused, subscription.state]).toEqual([true, 'paused']);
    subscription.resume();
    expect([app.transport.subscriptions[0].paused, subscription.state]).toEqual([false, 'consuming']);
  });

  test('takes the name: every group that has it, and no other subscription', async () => {
    const app = await start();
    await app.subscribe(() => undefined);
    await app.subscribe(() => undefined, { group: 'audit' });
    await app.subscribe(() => undefined, { name: 'mail' });
    app.messaging.pause('order.created');
    expect(app.transport.subscriptions.map(({ paused }) => paused)).toEqual([true, true, false]);
    expect(() => app.messaging.pause('order.creatd')).toThrow(
      expect.objectContaining({
        code: 'INVALID_OPTION',
        message: expect.stringContaining('order.created, mail'),
      }),
    );
    expect(() => app.messaging.resume('')).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
  });
});

describe('a defect does not cost a slot', () => {
  test('a settlement that throws frees the slot and says so', async () => {
    const app = await start();
    const { calls, subscription } = await manual(app, { concurrency: bounded(1) });
    const bad = subscription.deliver({ id: 'bad' });
    subscription.deliver({ id: 'next' });
    bad.ack = () => {
      throw new Error('a transport’s defect');
    };
    calls[0].end.resolve();
    await app.turn();
    expect(calls.map(({ id }) => id)).toEqual(['bad', 'next']);
    expect(app.logged('error')).toEqual([expect.stringContaining('message bad could not be settled')]);
  });

  test('a give-back that throws neither stops the shutdown nor goes unhandled', async () => {
    const app = await start();
    const { subscription } = await manual(app);
    subscription.onStop = async () => {
      const bad = subscription.deliver();
      bad.release = () => {
        throw new Error('a transport’s defect');
      };
    };
    await app.messaging.stopIntake();
    expect(app.logged('error')).toEqual([expect.stringContaining('could not be given back')]);
  });
});

describe('run-time subscriptions', () => {
  test('are supervised and reported like decorated ones, and can be stopped and unbound', async () => {
    const app = await start();
    const stopped = app.record('consumer-stopped');
    const runtime = await app.messaging.subscribe({ route: 'order.created' }, () => undefined);
    expect(runtime).toMatchObject({ queue: 'orders:order.created:queue', state: 'consuming' });
    const [subscription] = app.transport.subscriptions;
    subscription.state(false, 'queue deleted');
    expect(app.messaging.health()).toMatchObject({
      status: 'degraded',
      consumers: [{ queue: runtime.queue, state: 'waiting', reason: 'queue deleted' }],
    });
    subscription.state(true);
    expect(app.messaging.health()).toMatchObject({ status: 'up', consumers: [{ state: 'consuming' }] });
    expect(stopped).toEqual([{ queue: runtime.queue, reason: 'queue deleted' }]);
    await runtime.unbind();
    expect(app.transport.unbound).toEqual([expect.objectContaining({ queue: runtime.queue })]);
    await runtime.stop();
    expect(app.messaging.health().consumers).toEqual([]);
    expect(app.clock.pending).toBe(0);
  });

  test('a second one on the same queue is refused, and possible after the first has stopped', async () => {
    const app = await start();
    const first = await app.messaging.subscribe({ route: 'order.created' }, () => undefined);
    await expect(app.subscribe(() => undefined)).rejects.toMatchObject({
      code: 'SUBSCRIPTION_CONFLICT',
      message: expect.stringContaining('Give one a «name»'),
    });
    await first.stop();
    await app.subscribe(() => undefined);
    await first.stop();
    expect(app.messaging.health().consumers).toHaveLength(1);
  });

  test('one that cannot start leaves nothing behind', async () => {
    const app = await start();
    app.transport.onSubscribe = () => Promise.reject(new Error('no'));
    await expect(app.subscribe(() => undefined)).rejects.toThrow('no');
    expect(app.messaging.health().consumers).toEqual([]);
    app.transport.onSubscribe = () => Promise.resolve();
    await app.subscribe(() => undefined);
  });

  test('one that the options switch off is refused', async () => {
    const app = await start({ subscriptions: { 'order.created': false } });
    await expect(app.subscribe(() => undefined)).rejects.toThrow(/switched off/);
  });
});
