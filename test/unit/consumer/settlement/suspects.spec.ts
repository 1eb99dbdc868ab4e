import { describe, expect, test } from '@jest/globals';
import { bounded } from '../../../../lib/consumer/schedule/concurrency.js';
import { type Application, deferred, start } from '../../support/application.js';
import { confirmed, type FakeDelivery, type FakeSubscription } from '../../support/fake-transport.js';

interface Call {
  readonly id: string;
  readonly end: ReturnType<typeof deferred<void>>;
}

async function manual(request: object = {}) {
  const app = await start();
  app.transport.answer = () => confirmed;
  const calls: Call[] = [];
  const subscription = await app.subscribe((_, { id }) => {
    const end = deferred();
    calls.push({ id, end });
    return end.promise;
  }, request);
  return { app, calls, subscription, called: () => calls.map(({ id }) => id) };
}

const suspect = (subscription: FakeSubscription, id: string, alone = 1, deliveryCount = 0): FakeDelivery =>
  subscription.deliver({
    id,
    deliveryCount,
    direct: true,
    headers: { 'messaging-attempt': 3, 'messaging-suspect': alone },
  });

const copies = ({ transport }: Application): unknown[] =>
  transport.published.map(({ to, message: { id, headers } }) => [
    to.kind,
    id,
    headers['messaging-suspect'],
    headers['messaging-reason'],
  ]);

describe('a message that was delivered three times without a result', () => {
  test('is sent on to be called alone, not given up', async () => {
    const { app, called, subscription } = await manual();
    const delivery = subscription.deliver({ id: 'a', deliveryCount: 3 });
    await app.turn();
    expect([called(), copies(app)]).toEqual([[], [['queue', 'a', 1, undefined]]]);
    expect(delivery.settlements).toEqual(['ack']);
    expect(app.logged('warn').join()).toContain('called alone');
  });

  test('of several, the copies come one after the other', async () => {
    const { app, subscription } = await manual();
    for (const id of ['a', 'b', 'c']) subscription.deliver({ id, deliveryCount: 3 });
    await app.turn();
    expect(app.transport.published.map(({ dueAt }) => (dueAt ?? app.clock.now()) - app.clock.now())).toEqual([
      0, 1_000, 2_000,
    ]);
  });

  test('is called when nothing else runs, and nothing else begins meanwhile', async () => {
    const { app, calls, called, subscription } = await manual();
    subscription.deliver({ id: 'running' });
    suspect(subscription, 'suspect');
    await app.turn();
    subscription.deliver({ id: 'later' });
    expect(called()).toEqual(['running']);
    calls[0].end.resolve();
    await app.turn();
    expect(called()).toEqual(['running', 'suspect']);
    calls[1].end.resolve();
    await app.turn();
    expect(called()).toEqual(['running', 'suspect', 'later']);
  });

  test('waits for the others no longer than half a minute', async () => {
    const { app, called, subscription } = await manual();
    subscription.deliver({ id: 'endless' });
    suspect(subscription, 'suspect');
    await app.clock.advance(29_999);
    expect(called()).toEqual(['endless']);
    await app.clock.advance(2);
    expect(called()).toEqual(['endless', 'suspect']);
  });

  test('is put off, still a suspect, while another one is here: it would look as guilty', async () => {
    const { app, calls, called, subscription } = await manual();
    suspect(subscription, 'first');
    const second = suspect(subscription, 'second');
    await app.turn();
    expect([called(), copies(app)]).toEqual([['first'], [['queue', 'second', 1, undefined]]]);
    expect(second.settlements).toEqual(['ack']);
    expect(app.transport.last.dueAt! - app.clock.now()).toBeGreaterThanOrEqual(1_000);
    calls[0].end.resolve();
  });

  test('that fails when it is called alone is retried as any other, and is a suspect no more', async () => {
    const { app, calls, subscription } = await manual();
    suspect(subscription, 'a');
    await app.turn();
    calls[0].end.reject(new Error('not now'));
    await app.turn();
    expect(copies(app)).toEqual([['queue', 'a', undefined, undefined]]);
    expect(app.transport.last.message.headers['messaging-attempt']).toBe(4);
  });

  test('is given up after two calls alone that ended without a result', async () => {
    const { app, called, subscription } = await manual();
    suspect(subscription, 'a', 1, 1);
    await app.turn();
    suspect(subscription, 'b', 2, 1);
    await app.turn();
    expect(called()).toEqual([]);
    expect(copies(app)).toEqual([
      ['queue', 'a', 2, undefined],
      ['dead-letter', 'b', undefined, 'crashed'],
    ]);
  });

  test('is given back at shutdown as a copy that is still a suspect: a redelivery would be a call alone', async () => {
    const { app, subscription } = await manual({ concurrency: bounded(1) });
    subscription.deliver({ id: 'running' });
    const waiting = suspect(subscription, 'a');
    void app.messaging.stopIntake();
    await app.turn();
    expect(copies(app)).toEqual([['queue', 'a', 1, undefined]]);
    expect(waiting.settlements).toEqual(['ack']);
    await app.clock.advance(11_000);
  });

  test('… also when its turn had come', async () => {
    const { app, called, subscription } = await manual();
    subscription.deliver({ id: 'running' });
    const waiting = suspect(subscription, 'a');
    await app.turn();
    void app.messaging.stopIntake();
    await app.turn();
    expect([called(), copies(app)]).toEqual([['running'], [['queue', 'a', 1, undefined]]]);
    expect(waiting.settlements).toEqual(['ack']);
    expect(app.logged('warn').join()).not.toContain('deadline');
    await app.clock.advance(11_000);
  });

  test('lost before its call, it frees the way for the others', async () => {
    const { app, calls, called, subscription } = await manual();
    subscription.deliver({ id: 'running' });
    const lost = suspect(subscription, 'a');
    subscription.deliver({ id: 'later' });
    await app.turn();
    subscription.lose(lost);
    await app.turn();
    expect(called()).toEqual(['running', 'later']);
    for (const { end } of calls) end.resolve();
  });

  test('on a message that came by a route the header means nothing', async () => {
    const { app, called, subscription } = await manual();
    subscription.deliver({ id: 'x' });
    subscription.deliver({ id: 'a', deliveryCount: 1, headers: { 'messaging-suspect': 2 } });
    await app.turn();
    expect([called(), app.transport.published]).toEqual([['x', 'a'], []]);
  });
});

describe('in batches', () => {
  test('a suspect is handled alone, when no other batch is', async () => {
    const app = await start();
    app.transport.answer = () => confirmed;
    const batches: { ids: string[]; end: ReturnType<typeof deferred<void>> }[] = [];
    await app.messaging.subscribeBatch({ route: 'order.created', size: 2, maxWait: 1_000 }, (_, { entries }) => {
      const end = deferred();
      batches.push({ ids: entries.map(({ id }) => id), end });
      return end.promise;
    });
    const subscription = app.transport.subscriptions.at(-1)!;
    for (const id of ['a', 'b', 'c']) subscription.deliver({ id });
    suspect(subscription, 'suspect');
    await app.clock.advance(2_000);
    expect(batches.map(({ ids }) => ids)).toEqual([['a', 'b']]);
    batches[0].end.resolve();
    await app.turn();
    expect(batches.map(({ ids }) => ids)).toEqual([['a', 'b'], ['suspect']]);
    batches[1].end.resolve();
    await app.turn();
    expect(batches.map(({ ids }) => ids)).toEqual([['a', 'b'], ['suspect'], ['c']]);
  });
});
