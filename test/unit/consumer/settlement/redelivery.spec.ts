import { describe, expect, test } from '@jest/globals';
import { bounded } from '../../../../lib/consumer/schedule/concurrency.js';
import type { SubscribeRequest } from '../../../../lib/consumer/subscription/subscription-options.js';
import type { MessageContext } from '../../../../lib/pipeline/message-context.js';
import type { WireMessage } from '../../../../lib/message/message.js';
import type { RetryOptions } from '../../../../lib/retry/retry-policy.js';
import type { ManualClock } from '../../../../lib/clock/manual-clock.js';
import type { TransportCapabilities } from '../../../../lib/transport/capabilities.js';
import { MemoryBroker } from '../../../../lib/transports/memory/memory-broker.js';
import { memory } from '../../../../lib/transports/memory/memory.js';
import { Application, deferred, start } from '../../support/application.js';
import {
  type FakeDelivery,
  type FakeSubscription,
  FakeTransport,
  confirmed,
  failed,
} from '../../support/fake-transport.js';
import { redelivering } from '../../support/redelivering.js';

interface Stored {
  message: Pick<WireMessage, 'id' | 'headers'>;
  direct: boolean;
  deliveries: number;
}

/** One queue of a broker that retries by redelivery: it counts every delivery, whatever became of the one before. */
class CountingQueue {
  readonly deadLetters: WireMessage[] = [];
  readonly waits: number[] = [];
  private stored: Stored | undefined;

  constructor(id = 'a', headers: WireMessage['headers'] = {}) {
    this.stored = { message: { id, headers }, direct: false, deliveries: 0 };
  }

  /** A process that consumes from it. */
  async process(
    handler: (context: MessageContext) => unknown,
    request: Partial<SubscribeRequest> = {},
    capabilities: Partial<TransportCapabilities> = {},
  ): Promise<{ app: Application; subscription: FakeSubscription }> {
    const app = await start({}, new FakeTransport({ retry: 'redelivery', maxDelayMs: 2 ** 31, ...capabilities }));
    app.transport.answer = ({ to, message }) => {
      if (to.kind === 'dead-letter') this.deadLetters.push(message);
      else this.stored = { message, direct: true, deliveries: 0 };
      return confirmed;
    };
    return { app, subscription: await app.subscribe((_, context) => handler(context), request) };
  }

  /** Hands its message to a process and takes note of how it comes back. */
  async deliver({ app, subscription }: { app: Application; subscription: FakeSubscription }): Promise<FakeDelivery> {
    const stored = this.stored!;
    const { message, direct } = stored;
    const delivery = subscription.deliver({ ...message, direct, deliveryCount: stored.deliveries++ });
    await app.turn();
    for (const settlement of delivery.settlements) {
      if (settlement.startsWith('release')) {
        const wait = Number(settlement.slice(8));
        this.waits.push(wait);
        await app.clock.advance(wait);
      } else if (this.stored === stored) this.stored = undefined;
    }
    return delivery;
  }

  get empty(): boolean {
    return this.stored === undefined;
  }
}

const fails = (attempts: number[]) => (context: MessageContext) => {
  attempts.push(context.attempt);
  throw new Error('not now');
};
const retry: RetryOptions = { attempts: 3, backoff: (attempt) => attempt * 1_000 };

describe('on a transport that retries by redelivery', () => {
  test('each delivery is an attempt: as many calls as the policy allows, with its waits, then a dead letter', async () => {
    const queue = new CountingQueue();
    const attempts: number[] = [];
    const process = await queue.process(fails(attempts), { retry });
    while (!queue.empty) await queue.deliver(process);
    expect([attempts, queue.waits]).toEqual([
      [1, 2, 3],
      [1_000, 2_000],
    ]);
    expect(queue.deadLetters[0].headers).toMatchObject({
      'messaging-reason': 'attempts-exhausted',
      'messaging-attempt': 3,
    });
    expect(process.app.transport.batches).toHaveLength(1);
  });

  test('more retries than three are no crashes, in whichever process they come', async () => {
    const queue = new CountingQueue();
    const attempts: number[] = [];
    const processes = [1, 2, 3].map(() => queue.process(fails(attempts), { retry: { attempts: 8, backoff: 1_000 } }));
    for (let n = 0; !queue.empty; n++) await queue.deliver(await processes[n % 3]);
    expect(attempts).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(queue.deadLetters[0].headers['messaging-reason']).toBe('attempts-exhausted');
  });

  test('a message that kills its process uses up its attempts, and three times more and twice alone it is dead-lettered as crashed', async () => {
    const queue = new CountingQueue();
    const calls: number[] = [];
    for (let n = 0; n < 20 && !queue.empty; n++) {
      const killed = await queue.process(
        ({ attempt }) => {
          calls.push(attempt);
          return new Promise(() => {});
        },
        { retry: { attempts: 2, backoff: 0 } },
      );
      await queue.deliver(killed);
    }
    expect(calls).toEqual([1, 2, 3, 4, 5, 6]);
    expect(queue.deadLetters[0].headers).toMatchObject({
      'messaging-reason': 'crashed',
      'messaging-error-message': expect.stringContaining('called alone 2 times'),
    });
  });

  test('a delivery that an interrupted intake took along is no crash', async () => {
    const seen: string[] = [];
    const { subscription, app } = await new CountingQueue().process(({ id }) => void seen.push(id), {
      retry: { attempts: 2, backoff: 0 },
    });
    for (let n = 0; n < 3; n++) subscription.state(false, 'cut');
    subscription.deliver({ id: 'unseen', deliveryCount: 6 });
    subscription.deliver({ id: 'kills', deliveryCount: 7 });
    await app.turn();
    expect(seen).toEqual(['unseen']);
  });

  test('with retry: false a message that its process lost before its call is still called', async () => {
    const queue = new CountingQueue();
    const lost = await queue.process(() => new Promise(() => {}), { retry: false });
    await queue.deliver(lost);
    const attempts: number[] = [];
    await queue.deliver(await queue.process(fails(attempts), { retry: false }));
    expect(attempts).toEqual([2]);
    expect(queue.deadLetters[0].headers['messaging-reason']).toBe('attempts-exhausted');
  });

  test('what this process lost with its connection, or could not write a dead letter of, spends no attempt, and no call beyond them', async () => {
    const queue = new CountingQueue();
    const attempts: number[] = [];
    const process = await queue.process(fails(attempts), { retry: false });
    const { answer } = process.app.transport;
    process.app.transport.answer = () => failed();
    for (let n = 0; n < 6; n++) await queue.deliver(process);
    process.app.transport.answer = answer;
    const lost = await queue.process(() => new Promise(() => {}), { retry });
    for (let n = 0; n < 6; n++) {
      const delivery = lost.subscription.deliver({ id: 'b', deliveryCount: n });
      await lost.app.turn();
      lost.subscription.lose(delivery);
    }
    const seen = lost.app.record('delivered');
    lost.subscription.deliver({ id: 'b', deliveryCount: 6 });
    expect(seen).toMatchObject([{ attempt: 1 }]);
    await queue.deliver(process);
    expect(attempts).toEqual([1]);
    expect(queue.deadLetters[0].headers['messaging-reason']).toBe('attempts-exhausted');
  });

  test('a lowered number of attempts does not make crashes of earlier ones', async () => {
    const queue = new CountingQueue();
    const attempts: number[] = [];
    const { app, subscription } = await queue.process(fails(attempts), { retry: { attempts: 2, backoff: 0 } });
    subscription.deliver({ direct: true, deliveryCount: 0, headers: { 'messaging-attempt': 7 } });
    await app.turn();
    expect(attempts).toEqual([7]);
    expect(queue.deadLetters[0].headers['messaging-reason']).toBe('attempts-exhausted');
  });

  test('a give-back at shutdown is a copy, also the first one: a redelivery would be an attempt', async () => {
    const queue = new CountingQueue();
    for (let deployment = 0; deployment < 5; deployment++) {
      const busy = deferred();
      const { app, subscription } = await queue.process(() => busy.promise, { concurrency: bounded(1), retry });
      subscription.deliver({ id: 'running' });
      const waiting = await queue.deliver({ app, subscription });
      const stopped = app.messaging.stopIntake();
      await app.turn();
      expect(waiting.settlements).toEqual(['ack']);
      busy.resolve();
      await stopped;
    }
    const attempts: number[] = [];
    const process = await queue.process(fails(attempts), { retry });
    while (!queue.empty) await queue.deliver(process);
    expect(attempts).toEqual([1, 2, 3]);
  });

  test('a message that was put off until its time has all its attempts left, also in another process', async () => {
    const due = Date.UTC(2030, 0, 1) + 5_000;
    const queue = new CountingQueue('a', { 'messaging-not-before': due });
    const attempts: number[] = [];
    await queue.deliver(await queue.process(fails(attempts), { retry }));
    expect([queue.waits, attempts]).toEqual([[5_000], []]);
    const other = await queue.process(fails(attempts), { retry });
    await other.app.clock.advance(5_000);
    while (!queue.empty) await queue.deliver(other);
    expect(attempts).toEqual([1, 2, 3]);
  });

  test('the first handling is deferred once, and then has all its attempts', async () => {
    const queue = new CountingQueue();
    const attempts: number[] = [];
    const process = await queue.process(fails(attempts), { retry, delay: 4_000 });
    for (let n = 0; n < 10 && !queue.empty; n++) await queue.deliver(process);
    expect([queue.waits[0], attempts]).toEqual([4_000, [1, 2, 3]]);
  });
});

describe('on the embedded broker, made to retry by redelivery', () => {
  const application = async (broker: MemoryBroker, clock?: ManualClock): Promise<Application> => {
    const app = new Application({
      transport: redelivering(memory({ broker })),
      shutdownTimeout: 1_000,
      ...(clock && { clock }),
    });
    await app.messaging.connect();
    return app;
  };

  test('a message has its attempts, then is a dead letter, and after a redrive has them all again', async () => {
    const app = await application(new MemoryBroker());
    const attempts: number[] = [];
    await app.messaging.subscribe({ route: 'order.created', retry: { attempts: 4, backoff: 100 } }, (_, context) =>
      fails(attempts)(context),
    );
    app.publish('order.created', 1);
    await app.clock.advance(1_000);
    expect(attempts).toEqual([1, 2, 3, 4]);
    expect(await app.messaging.deadLetters.list()).toMatchObject([{ reason: 'attempts-exhausted', attempts: 4 }]);
    await app.messaging.deadLetters.redrive();
    await app.clock.advance(1_000);
    expect(attempts).toEqual([1, 2, 3, 4, 1, 2, 3, 4]);
  });

  test('what a process gives back when it stops has spent no attempt in the next one: neither what waited nor what ran', async () => {
    const broker = new MemoryBroker();
    const first = await application(broker);
    await first.messaging.subscribe({ route: 'order.created', concurrency: bounded(1) }, () => new Promise(() => {}));
    for (const id of ['ran', 'waited', 'waits too']) first.publish('order.created', 1, { id });
    await first.turn();
    expect(broker.queues()).toContainEqual(expect.objectContaining({ ready: 0, unsettled: 3 }));
    const closing = first.messaging.close();
    await first.clock.advance(2_000);
    await closing;
    const next = await application(broker, first.clock);
    const handled: [string, number][] = [];
    await next.messaging.subscribe(
      { route: 'order.created' },
      (_, { id, attempt }) => void handled.push([id, attempt]),
    );
    await first.clock.advance(100);
    expect(handled.sort()).toEqual([
      ['ran', 1],
      ['waited', 1],
      ['waits too', 1],
    ]);
  });
});

describe('the de-duplication id of a copy', () => {
  const ids = ({ app }: { app: Application }): string[] => app.transport.published.map(({ dedupeId }) => dedupeId);

  test('says message, queue and attempt, and is another one in the second round after a redrive', async () => {
    const app = await start();
    app.transport.answer = () => confirmed;
    const subscription = await app.subscribe(() => Promise.reject(new Error('x')), {
      retry: { attempts: 2, backoff: 0 },
    });
    for (let round = 0; round < 2; round++) {
      subscription.deliver({ id: 'a', direct: true, headers: { 'messaging-attempt': 1 } });
      await app.turn();
      subscription.deliver({ id: 'a', direct: true, headers: { 'messaging-attempt': 2 } });
      await app.turn();
    }
    const found = ids({ app });
    expect(found.map((id) => id.replace(/:[0-9a-f-]{36}$/, ''))).toEqual([
      'a:orders:order.created:queue:2',
      'a:orders:order.created:queue:dead-letter:2',
      'a:orders:order.created:queue:2',
      'a:orders:order.created:queue:dead-letter:2',
    ]);
    expect(new Set(found).size).toBe(4);
  });

  test('is another one for each deferral of an attempt', async () => {
    const app = await start();
    app.transport.answer = () => confirmed;
    const subscription = await app.subscribe(() => undefined, { delay: 500 });
    for (let n = 0; n < 3; n++) subscription.deliver({ id: 'a' });
    await app.turn();
    expect(new Set(ids({ app })).size).toBe(3);
  });
});

test('a retry that has to wait for longer than the broker holds a message goes on as copies, and comes neither early nor twice', async () => {
  const queue = new CountingQueue();
  const hour = 3_600_000;
  const attempts: number[] = [];
  const capabilities = { maxReleaseMs: 11 * hour, maxDelayMs: hour / 4 };
  const process = await queue.process(
    fails(attempts),
    { retry: { attempts: 2, backoff: () => 30 * hour } },
    capabilities,
  );
  const begun = process.app.clock.now();
  await queue.deliver(process);
  let copies = 0;
  for (; !queue.empty && attempts.length < 2; copies++) {
    const { dueAt = 0 } = process.app.transport.published.at(-1)!;
    await process.app.clock.advance(Math.max(0, dueAt - process.app.clock.now()));
    await queue.deliver(process);
  }
  expect(attempts).toEqual([1, 2]);
  expect(queue.waits).toEqual([11 * hour]);
  expect(process.app.clock.now() - begun).toBe(30 * hour);
  expect(queue.deadLetters).toHaveLength(1);
});

test('a retry that has to wait for longer than the broker holds a message, which delays nothing, is held again and again', async () => {
  const queue = new CountingQueue();
  const hour = 3_600_000;
  const attempts: number[] = [];
  const retry = { attempts: 2, backoff: () => 30 * hour };
  const process = await queue.process(fails(attempts), { retry }, { maxReleaseMs: 11 * hour, maxDelayMs: 0 });
  for (let turns = 0; turns < 10 && attempts.length < 2; turns++) await queue.deliver(process);
  expect(queue.waits).toEqual([11 * hour, 11 * hour, 8 * hour]);
  expect(attempts).toEqual([1, 2]);
  expect(process.app.transport.published.filter(({ to }) => to.kind === 'queue')).toHaveLength(1);
});
