import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { memoryIdempotencyStore } from '../../../../lib/idempotency/memory-idempotency-store.js';
import { message as contract } from '../../../../lib/message/message-contract.js';
import { type ReceivedMessage } from '../../../../lib/consumer/receive/received-message.js';
import type { ReceiveRequest } from '../../../../lib/consumer/subscription/receive-options.js';
import type { Receiver } from '../../../../lib/consumer/receive/receiver.js';
import { type Middleware } from '../../../../lib/pipeline/middleware.js';
import { TopologyMismatchError } from '../../../../lib/errors/configuration-errors.js';
import { MemoryBroker } from '../../../../lib/transports/memory/memory-broker.js';
import { memory } from '../../../../lib/transports/memory/memory.js';
import { assemble } from '../../../../lib/messaging.assembly.js';
import { Messaging } from '../../../../lib/messaging.js';
import { resolveOptions } from '../../../../lib/messaging.options.js';
import type { MessageContext } from '../../../../lib/pipeline/message-context.js';
import { ManualClock } from '../../../../lib/clock/manual-clock.js';
import { type Application, deferred, start } from '../../support/application.js';
import { confirmed, FakeTransport, type FakeSubscription } from '../../support/fake-transport.js';
import { type Leased, leasing } from '../../support/leasing.js';

const queue = 'orders:order.created:queue';

interface Loop {
  readonly application: Application;
  readonly receiver: Receiver<any>;
  readonly subscription: FakeSubscription;
  /** The next message, once the test has delivered one. */
  next(): Promise<ReceivedMessage<any>>;
}

/** A receiver whose first message is asked for. */
async function loop(
  request: Partial<ReceiveRequest> = {},
  application?: Application,
): Promise<Loop & { first: Promise<IteratorResult<ReceivedMessage<any>, undefined>> }> {
  application ??= await start({ retry: { attempts: 3, backoff: 1_000 } });
  const receiver = application.messaging.receive({ route: 'order.created', ...request });
  const first = receiver.next();
  await application.turn();
  const subscription = application.transport.subscriptions.at(-1)!;
  const next = async (): Promise<ReceivedMessage<any>> => {
    const { value } = await receiver.next();
    return value!;
  };
  return { application, receiver, subscription, next, first };
}

async function state<T>(application: Application, promise: Promise<T>): Promise<T | 'pending'> {
  let value: T | 'pending' = 'pending';
  void promise.then((result) => (value = result));
  await application.turn();
  return value;
}

describe('receive', () => {
  test('declares the queue of a subscription when the first message is asked for, with its prefetch', async () => {
    const application = await start();
    const receiver = application.messaging.receive('order.created');
    await application.turn();
    expect(application.transport.declared).toEqual([]);
    void receiver.next();
    await application.turn();
    expect(application.transport.declared).toMatchObject([
      { queue, patterns: ['order.created'], deadLetter: { queue: 'orders:order.created:dlq' } },
    ]);
    expect(application.transport.subscriptions[0].options.prefetch).toBe(10);
    expect(application.messaging.health().consumers).toMatchObject([{ queue, state: 'consuming' }]);
  });

  test('hands out one message for each that is asked for; the others wait unread', async () => {
    const { application, subscription, first, next } = await loop();
    const delivered = application.record('delivered');
    const deliveries = [subscription.deliver(), subscription.deliver(), subscription.deliver()];
    expect((await first).value).toMatchObject({
      id: 'm1',
      route: 'order.created',
      queue,
      attempt: 1,
      payload: { n: 1 },
    });
    await application.turn();
    expect(delivered.map(({ delivery }) => delivery.message.id)).toEqual(['m1']);
    expect(application.messaging.health().consumers[0].inFlight).toBe(3);
    expect((await next()).id).toBe('m2');
    expect(deliveries.flatMap(({ settlements }) => settlements)).toEqual([]);
  });

  test('ack acks once and resolves with what became of the message; a second ack or nack changes nothing', async () => {
    const { application, subscription, first } = await loop();
    const settled = application.record('settled');
    const delivery = subscription.deliver();
    const { value: message } = await first;
    const ack = message!.ack();
    expect(message!.nack(new Error('too late'))).toBe(ack);
    expect(await ack).toBe('ack');
    expect(await message!.ack()).toBe('ack');
    expect(delivery.settlements).toEqual(['ack']);
    expect(settled.map(({ outcome }) => outcome)).toEqual(['ack']);
    expect(application.messaging.health().consumers[0].inFlight).toBe(0);
  });

  test('ack resolves when the broker has answered, and tells when it could not', async () => {
    const { application, subscription, first, next } = await loop();
    const answer = deferred<boolean>();
    Object.assign(subscription.deliver(), { ackConfirmed: () => answer.promise });
    const { value: message } = await first;
    const ack = message!.ack();
    expect(await state(application, ack)).toBe('pending');
    answer.resolve(true);
    expect(await ack).toBe('ack');
    const second = next();
    Object.assign(subscription.deliver(), { ackConfirmed: async () => false });
    expect(await (await second).ack()).toBe('released');
  });

  test('nack is what a handler that throws is: a copy for a retry, acked once it is confirmed, and at last a dead letter', async () => {
    const { application, subscription, first, next } = await loop();
    const delivery = subscription.deliver();
    const { value: message } = await first;
    const nack = message!.nack(new Error('no ink'));
    await application.turn();
    const copy = application.transport.last;
    expect(copy).toMatchObject({ to: { kind: 'queue', queue }, message: { headers: { 'messaging-attempt': 2 } } });
    expect(copy.dueAt).toBe(application.clock.now() + 1_000);
    expect([await state(application, nack), delivery.settlements]).toEqual(['pending', []]);
    application.transport.settle(confirmed);
    expect(await nack).toBe('retry');
    expect(delivery.settlements).toEqual(['ack']);

    const third = next();
    subscription.deliver({ direct: true, headers: { 'messaging-attempt': 3 } });
    const last = await third;
    expect(last.attempt).toBe(3);
    const given = last.nack();
    await application.turn();
    expect(application.transport.last).toMatchObject({
      to: { kind: 'dead-letter' },
      message: { headers: { 'messaging-reason': 'attempts-exhausted', 'messaging-error-code': 'NACK' } },
    });
    application.transport.settle(confirmed);
    expect(await given).toBe('dead-letter');
  });

  test('a copy that cannot be written gives the message back, and nack says so', async () => {
    const { application, subscription, first } = await loop();
    const delivery = subscription.deliver();
    const { value: message } = await first;
    const nack = message!.nack(new Error('no'));
    await application.turn();
    application.transport.disconnected();
    expect(await nack).toBe('released');
    expect(delivery.settlements).toEqual(['release 500']);
  });

  test('a lost delivery aborts the signal; settling it does nothing and says so', async () => {
    const { subscription, first } = await loop();
    const delivery = subscription.deliver();
    const { value: message } = await first;
    const { signal } = message!;
    subscription.lose(delivery);
    expect(signal.reason).toMatchObject({ code: 'DELIVERY_LOST' });
    expect([await message!.ack(), await message!.nack()]).toEqual(['released', 'released']);
    expect(delivery.settlements).toEqual([]);
  });

  test.each([
    ['longer than the broker waits, spends an attempt', 2_000, 2],
    ['for a while, spends none', undefined, 1],
  ])('one that a loop has held %s when it fails', async (_, lateMs, attempt) => {
    const { application, subscription, first, next } = await loop();
    application.transport.answer = () => confirmed;
    const delivery = subscription.deliver({ id: 'a', deliveryCount: 0 });
    const { value: message } = await first;
    await application.clock.advance(2_000);
    subscription.lose(delivery, lateMs);
    void message!.nack(new Error('no'));
    const following = next();
    const again = subscription.deliver({ id: 'a', deliveryCount: 1 });
    await application.turn();
    if (attempt === 1) return void expect(await following).toMatchObject({ id: 'a', attempt: 1 });
    expect(again.settlements).toEqual(['ack']);
    expect(application.transport.last.message.headers).toMatchObject({ 'messaging-attempt': attempt });
  });

  test('a delivery that is lost while it waits unread is never handed out', async () => {
    const { subscription, first, next } = await loop();
    subscription.deliver();
    const unread = subscription.deliver();
    await first;
    subscription.lose(unread);
    const following = next();
    subscription.deliver({ id: 'later' });
    expect((await following).id).toBe('later');
  });

  test('what is undecodable, invalid or expired goes to the dead letters and is never seen', async () => {
    const order = contract('order.created', z.object({ n: z.number() }));
    const { application, subscription, first } = await loop({ route: order });
    application.transport.answer = () => confirmed;
    subscription.deliver({ body: '{' });
    subscription.deliver({ body: '{"n":"1"}' });
    subscription.deliver({ headers: { 'messaging-expires-at': application.clock.now() } });
    subscription.deliver({ id: 'good', body: '{"n":7,"more":1}' });
    expect((await first).value).toMatchObject({ id: 'good', payload: { n: 7 } });
    await application.turn();
    expect(application.transport.published.map(({ message }) => message.headers['messaging-reason']).sort()).toEqual([
      'expired',
      'invalid',
      'undecodable',
    ]);
  });

  test('leaving gives back what is unread, without an attempt; what is held can still be settled', async () => {
    const { application, receiver, subscription, first } = await loop();
    const [held, ...unread] = [subscription.deliver(), subscription.deliver(), subscription.deliver()];
    const { value: message } = await first;
    expect(await receiver.return()).toEqual({ done: true, value: undefined });
    expect(subscription.stopped).toBe(1);
    expect(unread.map(({ settlements }) => settlements)).toEqual([['release'], ['release']]);
    expect(held.settlements).toEqual([]);
    expect(await receiver.next()).toEqual({ done: true, value: undefined });
    expect(await message!.ack()).toBe('ack');
    expect(held.settlements).toEqual(['ack']);
    expect(application.transport.published).toEqual([]);
  });

  test('the intake has ended before anything is released', async () => {
    const { application, receiver, subscription, first } = await loop();
    const [, unread] = [subscription.deliver(), subscription.deliver()];
    await first;
    const stopped = deferred();
    subscription.onStop = () => stopped.promise;
    const left = receiver.return();
    await application.turn();
    const late = subscription.deliver();
    expect([unread.settlements, late.settlements]).toEqual([[], []]);
    stopped.resolve();
    await left;
    expect([unread.settlements, late.settlements]).toEqual([['release'], ['release']]);
  });

  test('what is held after leaving is given back when shutdownTimeout is over, and its signal aborted', async () => {
    const { application, receiver, subscription, first } = await loop();
    const held = subscription.deliver();
    const { value: message } = await first;
    const { signal } = message!;
    await receiver.return();
    await application.clock.advance(9_999);
    expect([held.settlements, signal.aborted]).toEqual([[], false]);
    await application.clock.advance(1);
    expect([held.settlements, signal.aborted]).toEqual([['release'], true]);
    expect(await message!.ack()).toBe('released');
  });

  test.each(['break', 'throw'] as const)('%s leaves the loop', async (how) => {
    const application = await start();
    const run = async (): Promise<void> => {
      for await (const message of application.messaging.receive('order.created')) {
        await message.ack();
        if (how === 'break') break;
        throw new Error('from the loop');
      }
    };
    const running = run();
    await application.turn();
    const [subscription] = application.transport.subscriptions;
    const [first, second] = [subscription.deliver(), subscription.deliver()];
    if (how === 'break') await running;
    else await expect(running).rejects.toThrow('from the loop');
    expect([first.settlements, second.settlements]).toEqual([['ack'], ['release']]);
    expect(application.messaging.health().consumers).toEqual([]);
  });

  test('an AbortSignal ends the loop, also one that waits for a message', async () => {
    const controller = new AbortController();
    const { application, subscription, first } = await loop({ signal: controller.signal });
    controller.abort();
    expect(await first).toEqual({ done: true, value: undefined });
    await application.turn();
    expect(subscription.stopped).toBe(1);
  });

  test('a signal that is aborted already starts nothing', async () => {
    const application = await start();
    const request = { route: 'order.created', signal: AbortSignal.abort() };
    for await (const { id } of application.messaging.receive(request)) throw new Error(`the message ${id}`);
    expect(application.transport.declared).toEqual([]);
  });

  test('a message that middleware holds up until nobody asks any more is given back unread', async () => {
    const gate = deferred();
    const wait: Middleware = async (_, next) => {
      await gate.promise;
      return next();
    };
    const { application, receiver, subscription, first } = await loop({ middleware: [wait] });
    const delivery = subscription.deliver();
    await application.turn();
    await receiver.return();
    expect(await first).toEqual({ done: true, value: undefined });
    gate.resolve();
    await application.turn();
    expect([delivery.settlements, application.transport.published]).toEqual([['release'], []]);
  });

  test('a message that nobody asks for any more and that is lost then is not handed out later', async () => {
    const twice: Middleware = async (_, next) => next().catch(() => next());
    const { application, subscription, first, next } = await loop({ middleware: [twice] });
    const delivery = subscription.deliver();
    const { value: message } = await first;
    const nack = message!.nack(new Error('once'));
    await application.turn();
    subscription.lose(delivery);
    expect(await nack).toBe('released');
    const following = next();
    subscription.deliver({ id: 'later' });
    expect((await following).id).toBe('later');
  });

  test('middleware that calls next again hands the message out again', async () => {
    const twice: Middleware = async (_, next) => next().catch(() => next());
    const { subscription, first, next } = await loop({ middleware: [twice] });
    const delivery = subscription.deliver();
    const { value: message } = await first;
    const nack = message!.nack(new Error('once'));
    const again = await next();
    expect(again.id).toBe(message!.id);
    expect([await again.ack(), await nack, delivery.settlements]).toEqual(['ack', 'ack', ['ack']]);
  });

  test('a timeout runs from handing out; then the message is retried, its signal aborted, and an ack too late', async () => {
    const { application, subscription, first, next } = await loop({ timeout: 5_000 });
    application.transport.answer = () => confirmed;
    const [held, unread] = [subscription.deliver(), subscription.deliver()];
    const { value: message } = await first;
    await application.clock.advance(5_000);
    expect(message!.signal.reason).toMatchObject({ code: 'HANDLER_TIMEOUT' });
    expect(await message!.ack()).toBe('retry');
    expect([held.settlements, unread.settlements]).toEqual([['ack'], []]);
    await application.turn();
    expect(application.messaging.health().consumers[0]).toMatchObject({ inFlight: 1 });
    expect(application.messaging.health().consumers[0].reason).toBeUndefined();
    expect((await next()).id).toBe('m2');
  });

  test('pause lets nothing out until resume', async () => {
    const { application, receiver, subscription, first } = await loop();
    subscription.deliver();
    await first;
    application.messaging.pause('order.created');
    subscription.deliver();
    const second = receiver.next();
    expect(await state(application, second)).toBe('pending');
    expect(application.messaging.health().consumers[0].state).toBe('paused');
    application.messaging.resume('order.created');
    expect((await second).value!.id).toBe('m2');
  });

  test('several loops over one receiver share its messages; when one is left, all end', async () => {
    const application = await start();
    const receiver = application.messaging.receive('order.created');
    const got: string[] = [];
    const work = async (name: string): Promise<void> => {
      for await (const message of receiver) {
        got.push(`${name} ${message.id}`);
        void message.ack();
        if (message.id === 'm3') return;
      }
    };
    const working = Promise.all([work('a'), work('b')]);
    await application.turn();
    const [subscription] = application.transport.subscriptions;
    for (let n = 0; n < 3; n++) {
      subscription.deliver();
      await application.turn();
    }
    await working;
    expect(got).toEqual(['a m1', 'b m2', 'a m3']);
  });

  test('at shutdown the loop finishes, and what it holds is waited for', async () => {
    const application = await start();
    const seen: string[] = [];
    const hold = deferred();
    const run = async (): Promise<void> => {
      for await (const message of application.messaging.receive('order.created')) {
        seen.push(message.id);
        await hold.promise;
        await message.ack();
      }
      seen.push('end');
    };
    const running = run();
    await application.turn();
    const [subscription] = application.transport.subscriptions;
    const [held, unread] = [subscription.deliver(), subscription.deliver()];
    await application.turn();
    const stopping = application.messaging.stopIntake();
    expect(await state(application, stopping)).toBe('pending');
    expect([held.settlements, unread.settlements]).toEqual([[], ['release']]);
    hold.resolve();
    await stopping;
    await running;
    expect([seen, held.settlements]).toEqual([['m1', 'end'], ['ack']]);
    expect(() => application.messaging.receive('order.created')).toThrow(
      expect.objectContaining({ code: 'PUBLISHER_CLOSED' }),
    );
  });

  test('what is held at the shutdown deadline is given back', async () => {
    const { application, receiver, subscription, first } = await loop();
    const held = subscription.deliver();
    const { value: message } = await first;
    const waiting = receiver.next();
    const stopping = application.messaging.stopIntake();
    expect(await waiting).toEqual({ done: true, value: undefined });
    await application.clock.advance(10_000);
    await stopping;
    expect(held.settlements).toEqual(['release']);
    expect(await message!.nack()).toBe('released');
  });

  test('what is held by a loop that was left before is waited for at shutdown, too', async () => {
    const { application, receiver, subscription, first } = await loop();
    const held = subscription.deliver();
    const { value: message } = await first;
    await receiver.return();
    const stopping = application.messaging.stopIntake();
    expect(await state(application, stopping)).toBe('pending');
    await message!.ack();
    await stopping;
    expect(held.settlements).toEqual(['ack']);
  });

  test('the kill switch stops a loop that fails too often, and probes with one message', async () => {
    const application = await start({ retry: { attempts: 3, backoff: 1_000 } });
    const { receiver, subscription, first } = await loop(
      { killSwitch: { failures: 1, probeAfter: 5_000 } },
      application,
    );
    application.transport.answer = () => confirmed;
    subscription.deliver();
    await (await first).value!.nack(new Error('down'));
    subscription.deliver();
    const second = receiver.next();
    expect(await state(application, second)).toBe('pending');
    await application.clock.advance(5_000);
    expect(await (await second).value!.ack()).toBe('ack');
    expect(application.messaging.health().consumers[0].state).toBe('consuming');
  });

  test('an idempotent message that was lost is not taken for done', async () => {
    const store = memoryIdempotencyStore();
    const { application, subscription, first, next } = await loop({ idempotent: { store } });
    const delivery = subscription.deliver({ id: 'one' });
    const { value: message } = await first;
    const second = next();
    subscription.lose(delivery);
    void message!.ack();
    await application.turn();
    const again = subscription.deliver({ id: 'one' });
    expect(await (await second).ack()).toBe('ack');
    const third = next();
    const duplicate = subscription.deliver({ id: 'one' });
    expect(await state(application, third)).toBe('pending');
    expect([again.settlements, duplicate.settlements]).toEqual([['ack'], ['ack']]);
  });
});

describe('receive is refused', () => {
  test.each([
    ['concurrency', { concurrency: { kind: 'x', schedule: () => 0 } }, /Leave it out/],
    ['handles', { handles: 'a' }, /«name» of its own/],
    ['routeBy', { routeBy: () => 'a' }, /message\.route/],
    ['connection', { connection: 'other' }, /InjectMessaging/],
    ['signal', { signal: {} }, /an AbortSignal/],
    ['prefetch', { prefetch: 0 }, /from 1 to 65535/],
  ])('with «%s», and says what to do', async (option, more, remedy) => {
    const { messaging } = await start();
    const request = { route: 'order.created', ...more } as unknown as { route: string };
    expect(() => messaging.receive(request)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option, message: expect.stringMatching(remedy) }),
    );
  });

  test('with an option that the module overrides', async () => {
    const concurrency = { kind: 'own', schedule: () => 0 as never };
    const { messaging } = await start({ subscriptions: { 'order.created': { concurrency } } });
    expect(() => messaging.receive('order.created')).toThrow(expect.objectContaining({ option: 'concurrency' }));
  });

  test('beside a subscription or another loop on its queue, in either order, until that is left', async () => {
    const application = await start();
    const { messaging } = application;
    const conflict = expect.objectContaining({
      code: 'SUBSCRIPTION_CONFLICT',
      message: expect.stringMatching(/share the queue «orders:order\.created:queue».*Give one a «name»/),
    });
    const subscription = await messaging.subscribe({ route: 'order.created' }, () => undefined);
    expect(() => messaging.receive('order.created')).toThrow(conflict);
    await subscription.stop();
    const [one, two] = [messaging.receive('order.created'), messaging.receive('order.created')];
    const waiting = one.next();
    await expect(two.next()).rejects.toEqual(conflict);
    expect(await two.next()).toEqual({ done: true, value: undefined });
    await expect(messaging.subscribe({ route: 'order.created' }, () => undefined)).rejects.toEqual(conflict);
    await one.return();
    expect(await waiting).toEqual({ done: true, value: undefined });
    await messaging.subscribe({ route: 'order.created' }, () => undefined);
  });

  test('where the topology cannot be: the loop throws, and the queue is free again', async () => {
    const application = await start();
    application.transport.onSubscribe = () => Promise.reject(new TopologyMismatchError('another type'));
    const receiver = application.messaging.receive('order.created');
    await expect(receiver.next()).rejects.toMatchObject({ code: 'TOPOLOGY_MISMATCH' });
    expect(await receiver.next()).toEqual({ done: true, value: undefined });
    expect(application.messaging.health().consumers).toEqual([]);
    application.transport.onSubscribe = () => Promise.resolve();
    void application.messaging.receive('order.created').next();
    await application.turn();
    expect(application.messaging.health().consumers).toHaveLength(1);
  });
});

describe('where deliveries have leases', () => {
  /** An application on the embedded broker with leases of three seconds, and what its queue delivers. */
  async function leased(): Promise<{ messaging: Messaging; clock: ManualClock; turn: () => Promise<void> }> {
    const clock = new ManualClock();
    const factory = leasing(memory({ broker: new MemoryBroker({ clock }) }), 3_000);
    const quiet = { log() {}, warn() {}, error() {}, debug() {} };
    const options = resolveOptions({ service: 'orders', transport: factory, clock, unroutable: 'queue' });
    const messaging = new Messaging('default', options, assemble('default', options, quiet));
    await messaging.connect();
    return { messaging, clock, turn: () => clock.advance(0) };
  }

  test('a message is kept while a loop holds it, and while it waits unread', async () => {
    const { messaging, clock, turn } = await leased();
    const receiver = messaging.receive<number>('order.created');
    const first = receiver.next();
    await turn();
    const sending = messaging.publisher.publishMany([1, 2].map((body) => ({ route: 'order.created', body })));
    await turn();
    await sending;
    const { value: held } = await first;
    await clock.advance(60_000);
    expect([held!.signal.aborted, await held!.ack()]).toEqual([false, 'ack']);
    const { value: waited } = await receiver.next();
    expect([waited!.payload, waited!.attempt, await waited!.ack()]).toEqual([2, 1, 'ack']);
    const closing = messaging.close();
    await turn();
    await closing;
  });

  test('a handler keeps its message for as long as it runs, and is called once', async () => {
    const { messaging, clock, turn } = await leased();
    const calls: MessageContext[] = [];
    const work = deferred();
    await messaging.subscribe({ route: 'order.created' }, async (_, context) => {
      calls.push(context);
      await context.extend(10_000);
      await work.promise;
    });
    void messaging.publisher.publish('order.created', 1);
    await turn();
    await clock.advance(60_000);
    expect([calls.length, calls[0].signal.aborted]).toEqual([1, false]);
    expect((calls[0].delivery as Leased).extended).toBeGreaterThanOrEqual(60);
    work.resolve();
    await turn();
    expect(messaging.health().consumers[0].inFlight).toBe(0);
    const closing = messaging.close();
    await turn();
    await closing;
  });

  test('a lease that cannot be extended is told, and costs nobody else', async () => {
    const application = await start({}, new FakeTransport({ leaseMs: 3_000 }));
    const handled = deferred();
    const subscription = await application.subscribe(() => handled.promise);
    const extended: number[] = [];
    Object.assign(subscription.deliver(), { extend: () => Promise.reject(new Error('not found')) });
    Object.assign(subscription.deliver(), { extend: async (ms: number) => void extended.push(ms) });
    await application.clock.advance(3_000);
    expect(extended).toEqual([3_000, 3_000, 3_000]);
    expect(application.logged('warn').filter((line) => /lease of message m1 .*not found/.test(line))).toHaveLength(3);
    handled.resolve();
    await application.clock.advance(3_000);
    expect(extended).toHaveLength(3);
  });
});
