import { describe, expect, test } from '@jest/globals';
import { type Concurrency, unbounded } from '../../../../lib/consumer/schedule/concurrency.js';
import { type PartitionedOptions, partitioned } from '../../../../lib/consumer/schedule/partitioned.js';
import type { Schedule, ScheduledMessage } from '../../../../lib/consumer/schedule/schedule.js';
import { header } from '../../../../lib/message/headers.js';
import type { MessageContext } from '../../../../lib/pipeline/message-context.js';
import { Outcome } from '../../../../lib/pipeline/outcome.js';
import { type Application, deferred, seeded, start } from '../../support/application.js';
import { type FakeDelivery, FakeTransport, confirmed } from '../../support/fake-transport.js';

interface Call {
  readonly id: string;
  readonly context: MessageContext;
  readonly end: ReturnType<typeof deferred<unknown>>;
}

/** A subscription with lanes whose handlers run until the test ends them. */
async function lanes(partitions: PartitionedOptions = {}, options: object = {}, transport = new FakeTransport()) {
  const app = await start({ retry: { attempts: 4, backoff: 1_000 } }, transport);
  app.transport.answer = () => confirmed;
  const calls: Call[] = [];
  const subscription = await app.subscribe(
    (_, context) => {
      const end = deferred<unknown>();
      calls.push({ id: context.id, context, end });
      return end.promise;
    },
    { concurrency: partitioned(partitions), ...options },
  );
  const deliver = (id: string, key = id[0], more: object = {}): FakeDelivery =>
    subscription.deliver({ id, headers: { [header.key]: key }, ...more });
  const end = async (at: number, error?: unknown): Promise<void> => {
    if (error === undefined) calls[at].end.resolve(undefined);
    else calls[at].end.reject(error);
    await app.turn();
  };
  return { app, calls, subscription, deliver, end, started: () => calls.map(({ id }) => id) };
}

const health = (app: Application) => app.messaging.health().consumers[0];

describe('partitioned', () => {
  test('handles the messages of one key one at a time and in order, and other keys meanwhile', async () => {
    const { app, deliver, end, started } = await lanes();
    for (const id of ['a1', 'a2', 'b1', 'a3', 'b2']) deliver(id);
    await app.turn();
    expect(started()).toEqual(['a1', 'b1']);
    await end(1);
    expect(started()).toEqual(['a1', 'b1', 'b2']);
    await end(0);
    await end(3);
    expect(started()).toEqual(['a1', 'b1', 'b2', 'a2', 'a3']);
  });

  test('runs no more handlers than it has lanes, and a key always in the same one', async () => {
    const { app, deliver, end, started } = await lanes({ lanes: 1 });
    for (const id of ['a1', 'b1', 'c1']) deliver(id);
    await app.turn();
    expect(started()).toEqual(['a1']);
    await end(0);
    expect(started()).toEqual(['a1', 'b1']);
  });

  test('messages without a key wait for nobody', async () => {
    const { app, subscription, started } = await lanes({ lanes: 10 });
    for (let n = 0; n < 10; n++) subscription.deliver({ id: `free-${n}` });
    await app.turn();
    expect(started().length).toBeGreaterThan(3);
  });

  test('retries a failed message in place: unsettled, with the policy’s backoff, what follows it waiting', async () => {
    const { app, calls, deliver, end, started } = await lanes();
    const settled = app.record('settled');
    const [head, second] = [deliver('a1'), deliver('a2')];
    deliver('b1');
    await end(0, new Error('once'));
    await end(1);
    expect([head.settlements, second.settlements]).toEqual([[], []]);
    await app.clock.advance(999);
    expect(started()).toEqual(['a1', 'b1']);
    await app.clock.advance(1);
    expect(calls[2]).toMatchObject({ id: 'a1', context: { attempt: 2 } });
    await end(2);
    expect(started()).toEqual(['a1', 'b1', 'a1', 'a2']);
    expect(head.settlements).toEqual(['ack']);
    expect(app.transport.published).toEqual([]);
    expect(settled.map(({ attempt, outcome }) => [attempt, outcome])).toEqual([
      [1, 'retry'],
      [1, 'ack'],
      [2, 'ack'],
    ]);
  });

  test('the last attempt of a held message ends in the dead letters, and its key goes on', async () => {
    const { app, deliver, end, started } = await lanes({}, { retry: { attempts: 2, backoff: 10 } });
    const head = deliver('a1');
    deliver('a2');
    await end(0, new Error('first'));
    await app.clock.advance(10);
    await end(1, new Error('second'));
    expect(app.transport.last.message.headers).toMatchObject({
      'messaging-reason': 'attempts-exhausted',
      'messaging-attempt': 2,
    });
    expect(head.settlements).toEqual(['ack']);
    expect(started()).toEqual(['a1', 'a1', 'a2']);
  });

  test('a message is held for at most maxHold, then goes to the dead letters, and its key goes on', async () => {
    const { app, deliver, end, started } = await lanes(
      { maxHold: 2_500 },
      { retry: { attempts: 100, backoff: 1_000 } },
    );
    const head = deliver('a1');
    deliver('a2');
    for (let call = 0; call < 3; call++) {
      await end(call, new Error('again'));
      await app.clock.advance(1_000);
    }
    expect(started()).toEqual(['a1', 'a1', 'a1', 'a2']);
    expect(app.transport.last.message.headers).toMatchObject({ 'messaging-reason': 'hold-exceeded' });
    expect(head.settlements).toEqual(['ack']);
  });

  test('an Outcome.defer of a handler is waited for in place and spends no attempt', async () => {
    const { app, calls, deliver } = await lanes();
    const head = deliver('a1');
    deliver('a2');
    calls[0].end.resolve(Outcome.defer(50));
    await app.clock.advance(50);
    expect(calls[1]).toMatchObject({ id: 'a1', context: { attempt: 1 } });
    expect(head.settlements).toEqual([]);
  });

  test("onFailure: 'pass' lets the key go on and retries by a copy", async () => {
    const { app, deliver, end, started } = await lanes({ onFailure: 'pass' });
    const head = deliver('a1');
    deliver('a2');
    await end(0, new Error('once'));
    expect(started()).toEqual(['a1', 'a2']);
    expect(app.transport.last).toMatchObject({ message: { id: 'a1', headers: { 'messaging-attempt': 2 } } });
    expect(head.settlements).toEqual(['ack']);
  });

  test('health says «lanes full» while nothing can run because of what is held', async () => {
    const { app, deliver, end } = await lanes({}, { prefetch: 3 });
    for (const id of ['a1', 'a2', 'a3']) deliver(id);
    expect(health(app)).not.toHaveProperty('reason');
    await end(0, new Error('once'));
    expect(health(app)).toMatchObject({
      state: 'consuming',
      inFlight: 3,
      reason: expect.stringContaining('lanes full'),
    });
    expect(app.messaging.health().status).toBe('degraded');
    await app.clock.advance(1_000);
    expect(health(app)).not.toHaveProperty('reason');
  });

  test('a message that is lost while it is held leaves its key to the redelivered one', async () => {
    const { app, calls, deliver, end, subscription, started } = await lanes();
    const head = deliver('a1');
    await end(0, new Error('once'));
    subscription.lose(head);
    const again = deliver('a1', 'a', { deliveryCount: 1 });
    await app.turn();
    expect(calls[1].context.attempt).toBe(1);
    await end(1);
    await app.clock.advance(5_000);
    expect(started()).toEqual(['a1', 'a1']);
    expect([head.settlements, again.settlements]).toEqual([[], ['ack']]);
  });

  test('what waits behind a held message does not begin when a lost connection takes both', async () => {
    const { app, subscription, deliver, end, started } = await lanes();
    const [head, second, third] = [deliver('a1'), deliver('a2'), deliver('a3')];
    await end(0, new Error('once'));
    for (const delivery of [head, second, third]) subscription.lose(delivery);
    await app.turn();
    expect(started()).toEqual(['a1']);
    for (const id of ['a1', 'a2', 'a3']) deliver(id);
    for (const at of [1, 2, 3]) await end(at);
    expect(started()).toEqual(['a1', 'a1', 'a2', 'a3']);
  });

  test('a redelivered message waits for the handler that still runs with the lost one, and is settled with its result', async () => {
    const { app, deliver, end, subscription, started } = await lanes();
    const lost = deliver('a1');
    subscription.lose(lost);
    const again = deliver('a1', 'a', { deliveryCount: 1 });
    await app.turn();
    expect(started()).toEqual(['a1']);
    await end(0);
    expect([started(), again.settlements]).toEqual([['a1'], ['ack']]);
  });

  test('a call that runs on past its timeout keeps its key: the retry waits for it, and for its grace at most', async () => {
    const { app, deliver, end, started } = await lanes({}, { timeout: 3_000 });
    deliver('a1');
    await app.clock.advance(3_000 + 1_000);
    expect(started()).toEqual(['a1']);
    await end(0);
    expect(started()).toEqual(['a1', 'a1']);
    await app.clock.advance(3_000 + 3_000 - 1);
    expect(started()).toHaveLength(2);
    await app.clock.advance(1);
    expect(started()).toHaveLength(3);
  });

  test('a pause leaves the intake alone, or others would get what comes next', async () => {
    const { app, deliver, subscription, started } = await lanes();
    app.messaging.pause('order.created');
    deliver('a1');
    await app.turn();
    expect([subscription.paused, started()]).toEqual([false, []]);
    app.messaging.resume('order.created');
    await app.turn();
    expect(started()).toEqual(['a1']);
  });
});

describe('a shutdown with lanes', () => {
  test('ends running handlers before the intake, and gives back held and waiting messages without an attempt spent', async () => {
    const { app, deliver, end, subscription, started } = await lanes();
    const deliveries = ['a1', 'b1', 'a2', 'b2'].map((id) => deliver(id));
    await end(0, new Error('once'));
    const stopped = app.messaging.stopIntake();
    await app.turn();
    expect(subscription.stopped).toBe(0);
    await end(1);
    await stopped;
    expect(subscription.stopped).toBe(1);
    expect(deliveries.map(({ settlements }) => settlements)).toEqual([['release'], ['ack'], ['release'], ['release']]);
    expect(started()).toEqual(['a1', 'b1']);
    expect(app.transport.published).toEqual([]);
    expect(app.clock.pending).toBe(0);
  });

  test('a handler that fails meanwhile is not retried here, but given back', async () => {
    const { app, deliver, end } = await lanes();
    const head = deliver('a1');
    const stopped = app.messaging.stopIntake();
    await app.turn();
    await end(0, new Error('late'));
    await stopped;
    expect(head.settlements).toEqual(['release']);
  });

  test('what was given back twice before goes back as a copy, so that it is not taken for one that kills', async () => {
    const { app, deliver } = await lanes();
    deliver('a1', 'a', { deliveryCount: 0 });
    const often = deliver('a2', 'a', { deliveryCount: 2 });
    const stopped = app.messaging.stopIntake();
    await app.clock.advance(20_000);
    await stopped;
    expect(often.settlements).toEqual(['ack']);
    expect(app.transport.publishedIds).toEqual(['a2']);
  });
});

describe('the lease of a message', () => {
  test('is extended while it is held or waits behind a held one, and no longer', async () => {
    const { app, deliver, end } = await lanes({}, {}, new FakeTransport({ leaseMs: 300 }));
    const timers = app.clock.timerCount;
    const extended: string[] = [];
    const leased = (id: string): void => {
      const delivery: FakeDelivery & { extend?: (ms: number) => Promise<void> } = deliver(id);
      delivery.extend = async (ms) => void extended.push(`${id} ${ms}`);
    };
    leased('a1');
    leased('a2');
    await end(0, new Error('once'));
    await app.clock.advance(100);
    expect(extended).toEqual(['a1 300', 'a2 300']);
    await app.clock.advance(900);
    await end(1);
    await end(2);
    const before = extended.length;
    await app.clock.advance(1_000);
    expect(extended).toHaveLength(before);
    expect(app.clock.timerCount).toBe(timers);
  });
});

describe('the key', () => {
  const keyed = async (key: PartitionedOptions['key'], ...messages: object[]): Promise<string[]> => {
    const { app, subscription, started } = await lanes({ key });
    for (const [at, message] of messages.entries()) subscription.deliver({ id: `m${at}`, ...message });
    await app.turn();
    return started();
  };

  test.each<[string, PartitionedOptions['key'], object]>([
    ['a header', { header: 'tenant' }, { headers: { tenant: 'x' } }],
    ['a header that holds a number', { header: 'tenant' }, { headers: { tenant: 7 } }],
    ['a property', { property: 'customer' }, { body: '{"customer":7}' }],
    ['a nested property', { property: 'customer.id' }, { body: '{"customer":{"id":"x"}}' }],
    ['a function', ({ route }) => route, { route: 'order.created' }],
  ])('is %s', async (_, key, message) => {
    expect(await keyed(key, message, message)).toEqual(['m0']);
  });

  test('a body that cannot be read has no key, and ends in the dead letters', async () => {
    const { app, subscription } = await lanes({ key: { property: 'id' } });
    const broken = subscription.deliver({ body: '{', properties: { contentType: 'application/json' } });
    await app.turn();
    expect(app.transport.last.message.headers).toMatchObject({ 'messaging-reason': 'undecodable' });
    expect(broken.settlements).toEqual(['ack']);
  });

  test('a function that throws sends its message to the dead letters, and nothing else stops', async () => {
    const key = ({ id }: { id: string }): string => {
      if (id === 'bad') throw new TypeError('no key');
      return 'k';
    };
    const { app, deliver, started } = await lanes({ key });
    const bad = deliver('bad');
    deliver('good');
    await app.turn();
    expect(bad.settlements).toEqual(['ack']);
    expect(app.transport.last.message.headers).toMatchObject({
      'messaging-reason': 'unrecoverable',
      'messaging-error-message': 'no key',
    });
    expect(started()).toEqual(['good']);
  });
});

describe('options of partitioned that cannot be', () => {
  test.each<[string, () => unknown, string]>([
    ['lanes', () => partitioned({ lanes: 0 }), 'partitioned.lanes'],
    ['maxHold', () => partitioned({ maxHold: -1 }), 'partitioned.maxHold'],
    ['onFailure', () => partitioned({ onFailure: 'skip' as never }), 'partitioned.onFailure'],
    ['maxHold with pass', () => partitioned({ onFailure: 'pass', maxHold: 5 }), 'partitioned.maxHold'],
    ['key', () => partitioned({ key: 'customer' as never }), 'partitioned.key'],
    ['a key of both kinds', () => partitioned({ key: { header: '' } }), 'partitioned.key.header'],
    ['a name', () => partitioned({ lane: 3 } as never), 'partitioned.lane'],
  ])('%s is refused', (_, make, option) => {
    expect(make).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', option }));
  });

  test.each<[string, PartitionedOptions, object, string]>([
    ['more lanes than the prefetch', { lanes: 11 }, {}, 'at most the prefetch, 10'],
    ['a delay', {}, { delay: 5 }, 'could change places'],
    ['a maxHold as long as the ack timeout', { maxHold: 60_000 }, {}, 'less than 60000'],
  ])('%s is refused with the subscription', async (_, options, more, text) => {
    const app = await start({}, new FakeTransport({ ackTimeoutMs: 60_000 }));
    const concurrency = partitioned({ maxHold: 1_000, ...options });
    await expect(app.subscribe(() => 1, { concurrency, ...more })).rejects.toThrow(text);
  });
});

test('a concurrency of one’s own decides who may run', async () => {
  /** One at a time, the last that came first. */
  class LastFirst<M extends ScheduledMessage> implements Schedule<M> {
    readonly waiting = new Set<M>();
    private busy = false;
    admit(message: M): boolean {
      if (this.busy) this.waiting.add(message);
      return this.busy ? false : (this.busy = true);
    }
    wait(message: M): void {
      this.waiting.add(message);
    }
    next(): M | undefined {
      const last = this.busy ? undefined : [...this.waiting].at(-1);
      if (last) this.busy = this.waiting.delete(last);
      return last;
    }
    end(): void {
      this.busy = false;
    }
    withdraw(message: M): boolean {
      return this.waiting.delete(message);
    }
  }
  const concurrency: Concurrency = {
    kind: 'last-first',
    schedule: <M extends ScheduledMessage>() => new LastFirst<M>(),
  };
  const { app, deliver, end, started } = await lanes({}, { concurrency });
  for (const id of ['a', 'b', 'c']) deliver(id);
  await app.turn();
  await end(0);
  await end(1);
  expect(started()).toEqual(['a', 'c', 'b']);
  expect(unbounded().kind).toBe('unbounded');
});

test('no two of a key at once, their order kept, each settled once, in thousands of random steps', async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = seeded(seed);
    const below = (limit: number): number => Math.floor(random() * limit);
    const laneCount = 1 + below(4);
    const { app, calls, deliver, subscription } = await lanes(
      { lanes: laneCount, maxHold: 2_000 },
      { prefetch: 1_000, retry: { attempts: 3, backoff: 100 } },
    );
    const sent: FakeDelivery[] = [];
    const running = new Set<Call>();
    const highest = new Map<string, number>();
    let known = 0;
    const observe = (): void => {
      for (; known < calls.length; known++) {
        const call = calls[known];
        const [key, number] = [call.id[0], Number(call.id.slice(1))];
        for (const other of running) {
          if (other.id[0] === key) throw new Error(`Seed ${seed}: ${call.id} runs beside ${other.id}`);
        }
        if (number < (highest.get(key) ?? 0)) throw new Error(`Seed ${seed}: ${call.id} after ${highest.get(key)}`);
        highest.set(key, number);
        running.add(call);
      }
      if (running.size > laneCount) throw new Error(`Seed ${seed}: ${running.size} run in ${laneCount} lanes`);
    };
    for (let step = 0; step < 150; step++) {
      const dice = random();
      if (dice < 0.4) sent.push(deliver('abcdef'[below(6)] + String(step + 1)));
      else if (dice < 0.8 && running.size > 0) {
        const call = [...running][below(running.size)];
        running.delete(call);
        if (random() < 0.6) call.end.resolve(undefined);
        else call.end.reject(new Error('x'));
      } else await app.clock.advance(below(150));
      await app.turn();
      observe();
    }
    while (running.size > 0 || sent.some(({ settlements }) => settlements.length === 0)) {
      for (const call of running) call.end.resolve(undefined);
      running.clear();
      await app.clock.advance(100);
      observe();
    }
    expect(sent.filter(({ settlements }) => settlements.length !== 1 || settlements[0] !== 'ack')).toEqual([]);
    expect(health(app).inFlight).toBe(0);
    expect(subscription.consuming).toBe(true);
    expect(app.clock.pending).toBe(0);
  }
});
