import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  bounded,
  fixed,
  InvalidPayloadError,
  memory,
  MemoryBroker,
  message,
  type MessageContext,
  MessageTooLargeError,
  type MessagingModuleOptions,
  MessagingModule,
  Outcome,
  partitioned,
  Publisher,
  SerializationError,
  Subscribe,
  type SubscriptionOptions,
  systemClock,
  UnrecoverableError,
  UnroutableError,
} from 'nestjs-messaging';
import {
  CheckTransaction,
  type LocalTransaction,
  sqliteTransactionRecords,
  type TransactionInDoubt,
  type TransactionOutcome,
} from 'nestjs-messaging/transaction';
import type { Transport } from '../../lib/transport/transport.js';
import { waitFor } from '../brokers/wait-for.js';
import { type Application, boot, closeApplications, event, Seen } from '../e2e/support/application.js';
import { Markdown } from './markdown.js';

const route = 'order.created';
const queue = 'orders:order.created:queue';
const dlq = 'orders:order.created:dlq';
let broker: MemoryBroker;

function start(options: MessagingModuleOptions = {}): Promise<Application> {
  const base = {
    service: 'orders',
    transport: memory({ broker, maxBytes: 1_000 }),
    reconnect: { initial: 20, max: 20 },
    retryQueue: { interval: 50 },
    retry: { attempts: 2, backoff: fixed(20) },
    shutdownTimeout: 300,
  };
  return boot({ imports: [MessagingModule.forRoot({ ...base, ...options })] });
}

type Handle = (payload: any, context: MessageContext) => unknown;

async function subscribed(handle: Handle = () => undefined, options: SubscriptionOptions = {}): Promise<Application> {
  const application = await start();
  await application.messaging.subscribe({ route, ...options }, handle);
  return application;
}

const ready = (name: string): number => broker.queues().find((one) => one.name === name)!.ready;
const unsettled = (name: string): number => broker.queues().find((one) => one.name === name)!.unsettled;
const isEmpty = (name: string): boolean => ready(name) + unsettled(name) === 0;
const health = ({ messaging }: Application) => messaging.health();
const publish = ({ messaging }: Application, body: unknown = 1, options = {}): ReturnType<Publisher['publish']> =>
  messaging.publisher.publish(route, body, options);

function descriptor(prototype: object, name: string): PropertyDescriptor {
  return Object.getOwnPropertyDescriptor(prototype, name)!;
}

/** One test for each row of the table, called like the row. */
const guarantees: Record<string, () => Promise<void>> = {
  'the broker confirms a publish': async () => {
    const application = await subscribed();
    expect(await publish(application)).toMatchObject({ outcome: 'confirmed' });
    await waitFor(() => isEmpty(queue));
  },

  'there is no connection, or it is lost before the confirm': async () => {
    const seen = new Seen<string>();
    const application = await subscribed((_, { id }) => seen.add(id));
    broker.faults.dropConfirms(true);
    const lostConfirm = publish(application, 1, { id: 'lost' });
    await waitFor(() => broker.faults.hits.unconfirmed === 1);
    broker.faults.refuse();
    broker.faults.disconnect();
    expect(await lostConfirm).toMatchObject({ id: 'lost', outcome: 'queued', stored: 'memory' });
    const unconnected = await publish(application, 1, { id: 'unconnected' });
    expect(unconnected.outcome).toBe('queued');
    broker.faults.clear();
    expect(await (await lostConfirm).settled).toEqual({ id: 'lost', outcome: 'confirmed' });
    expect(await unconnected.settled).toEqual({ id: 'unconnected', outcome: 'confirmed' });
    await waitFor(() => seen.all.filter((id) => id === 'lost').length >= 2, 'the message that comes twice');
    expect(seen.all.filter((id) => id === 'unconnected')).toHaveLength(1);
  },

  'two publishes have one `id`': async () => {
    const seen = new Seen<unknown>();
    const application = await subscribed((body) => seen.add(body));
    const once = new Seen<unknown>();
    await application.messaging.subscribe({ route, name: 'once', idempotent: true }, (body) => void once.add(body));
    for (const body of [1, 2])
      expect(await publish(application, body, { id: 'same' })).toMatchObject({ outcome: 'confirmed' });
    await publish(application, 3, { id: 'other' });
    expect((await seen.until(3)).sort()).toEqual([1, 2, 3]);
    expect((await once.until(2)).sort()).toEqual([expect.any(Number), 3]);
  },

  'the broker blocks publishers': async () => {
    const seen = new Seen<string>();
    const application = await subscribed((_, { id }) => seen.add(id));
    broker.faults.block(true);
    const receipt = await publish(application, 1, { id: 'blocked' });
    expect(receipt.outcome).toBe('queued');
    expect(health(application)).toMatchObject({ status: 'degraded', connection: { blocked: true } });
    await new Promise((resolve) => setTimeout(resolve, 120)); // more than two passes
    expect(seen.all).toEqual([]);
    broker.faults.block(false);
    await receipt.settled;
    expect(await seen.until(1)).toEqual(['blocked']);
  },

  'the broker refuses a publish for now, or does not answer in time': async () => {
    const application = await start({ confirmTimeout: 50 });
    await application.messaging.subscribe({ route }, () => undefined);
    broker.faults.nackNext(1);
    const refused = await publish(application);
    broker.faults.dropPublishes(true);
    const unanswered = await publish(application);
    broker.faults.clear();
    for (const receipt of [refused, unanswered]) {
      expect(receipt.outcome).toBe('queued');
      expect(await receipt.settled).toMatchObject({ outcome: 'confirmed' });
    }
    expect(broker.faults.hits).toMatchObject({ nacked: 1 });
    expect(broker.faults.hits.vanished).toBeGreaterThan(0);
  },

  'one of the queues of a route is full and rejects (`reject-publish`)': async () => {
    const application = await start();
    await application.messaging.subscribe({ route }, () => undefined);
    broker.faults.nack((to) => to.kind === 'route' && to.route === route);
    const full = await publish(application);
    expect(full.outcome).toBe('queued');
    await waitFor(() => broker.faults.hits.nacked > 2);
    expect(health(application)).toMatchObject({
      status: 'degraded',
      retryQueue: { depth: 1, nacked: [{ to: route }] },
    });
    broker.faults.nack(false);
    expect(await full.settled).toMatchObject({ outcome: 'confirmed' });
    expect(health(application).status).toBe('up');
    expect(health(application).retryQueue.nacked).toBeUndefined();
  },

  'no queue takes the route': async () => {
    const application = await start();
    await expect(publish(application)).rejects.toThrow(UnroutableError);
    expect(await publish(application, 1, { unroutable: 'ignore' })).toMatchObject({ outcome: 'confirmed' });
    const receipt = await publish(application, 1, { unroutable: 'queue' });
    expect(receipt.outcome).toBe('queued');
    await application.messaging.subscribe({ route }, () => undefined);
    expect(await receipt.settled).toMatchObject({ outcome: 'confirmed' });
  },

  'the body or a header cannot be serialised (a number that is not finite, a `Map`), is too large, or does not fit the schema of its contract':
    async () => {
      const application = await subscribed(() => new Promise(() => undefined));
      for (const body of [1n, NaN, new Map()])
        await expect(publish(application, body)).rejects.toThrow(SerializationError);
      const headers = { size: NaN };
      await expect(application.messaging.publisher.publish(route, 1, { headers })).rejects.toThrow(SerializationError);
      await expect(publish(application, 'x'.repeat(1_001))).rejects.toThrow(MessageTooLargeError);
      const contract = message(route, {
        '~standard': { version: 1, vendor: 'test', validate: () => ({ issues: [{ message: 'no', path: ['a'] }] }) },
      });
      await expect(application.messaging.publisher.publish(contract, 1)).rejects.toThrow(InvalidPayloadError);
      expect(unsettled(queue) + ready(queue)).toBe(0);
    },

  'the publisher retry queue is full': async () => {
    const application = await start({ retryQueue: { maxMessages: 1 } });
    const other = await start({ retryQueue: { maxMessages: 1, whenFull: 'wait', waitTimeout: 30 } });
    broker.faults.refuse();
    broker.faults.disconnect();
    for (const one of [application, other]) {
      expect(await publish(one)).toMatchObject({ outcome: 'queued' });
      const began = Date.now();
      await expect(publish(one)).rejects.toMatchObject({ code: 'RETRY_QUEUE_FULL' });
      expect(Date.now() - began).toBeGreaterThanOrEqual(one === other ? 25 : 0);
    }
  },

  'a queued message turns out to be unsendable': async () => {
    const application = await start();
    broker.faults.refuse();
    broker.faults.disconnect();
    const { settled } = await publish(application, 1, { id: 'nowhere' });
    const failed = event(application.messaging, 'publish-failed');
    broker.faults.accept();
    expect(await settled).toMatchObject({ outcome: 'rejected', error: { code: 'UNROUTABLE' } });
    expect(await failed).toMatchObject({ id: 'nowhere' });
    expect(await application.messaging.deadLetters.list()).toMatchObject([{ id: 'nowhere', reason: 'unsendable' }]);
    expect(health(application)).toMatchObject({ status: 'degraded', deadLetters: { publisher: 1 } });
  },

  '`publishInTransaction`, and its process or the answer to its commit is lost': async () => {
    const folder = mkdtempSync(join(tmpdir(), 'guarantees-'));
    const committed = new Set<string>();
    class Orders {
      check({ id }: TransactionInDoubt): TransactionOutcome {
        return committed.has(id) ? 'committed' : 'rolled-back';
      }
    }
    CheckTransaction(route)(Orders.prototype, 'check', descriptor(Orders.prototype, 'check'));
    const options = {
      service: 'orders',
      transport: memory({ broker }),
      shutdownTimeout: 100,
      transactions: {
        store: sqliteTransactionRecords({ file: join(folder, 'transactions.sqlite') }),
        ...{ timeout: 100, grace: 50, lease: 90 },
      },
    };
    const next = (): Promise<Application> => boot({ imports: [MessagingModule.forRoot(options)], providers: [Orders] });
    const seen = new Seen<unknown>();
    const first = await next();
    await first.messaging.subscribe({ route }, (body) => seen.add(body));
    const lostAnswer = ({ id }: LocalTransaction): never => {
      committed.add(id);
      throw new Error('connection reset');
    };
    const { publisher } = first.messaging;
    expect(await publisher.publishInTransaction(route, 'lost answer', lostAnswer)).toMatchObject({
      outcome: 'confirmed',
    });
    const rolledBack = publisher.publishInTransaction(route, 'rolled back', () => Promise.reject(new Error('no')));
    await expect(rolledBack).rejects.toThrow('no');
    const lostProcess = publisher.publishInTransaction(route, 'lost process', ({ id }) => {
      committed.add(id);
      return new Promise(() => undefined);
    });
    lostProcess.catch(() => undefined);
    await waitFor(() => committed.size === 2);
    await first.close();
    const second = await next();
    await second.messaging.subscribe({ route }, (body) => seen.add(body));
    expect((await seen.until(2)).sort()).toEqual(['lost answer', 'lost process']);
    await waitFor(async () => (await second.messaging.transactions.list()).length === 0, 'no record to be left');
    expect(seen.all).not.toContain('rolled back');
    await second.close();
    rmSync(folder, { recursive: true });
  },

  'the application closes with messages queued': async () => {
    const sent = await subscribed();
    broker.faults.block(true);
    const { settled } = await publish(sent, 1, { id: 'in-time' });
    const closed = sent.close();
    broker.faults.block(false);
    await closed;
    expect(await settled).toMatchObject({ outcome: 'confirmed' });

    const unsent = await start();
    broker.faults.block(true);
    await publish(unsent, 1, { id: 'too-late' });
    await unsent.close();
    expect(unsent.log.lines.filter((line) => /^error .*too-late/.test(line))).toHaveLength(1);
  },

  'a handler resolves': async () => {
    const application = await subscribed();
    const settled = event(application.messaging, 'settled');
    await publish(application);
    expect(await settled).toMatchObject({ outcome: 'ack' });
    await waitFor(() => isEmpty(queue));
  },

  'a handler throws': async () => {
    const attempts = new Seen<number>();
    const application = await subscribed((_, { attempt }) => {
      attempts.add(attempt);
      if (attempt === 1) throw new Error('once');
    });
    await publish(application);
    expect(await attempts.until(2)).toEqual([1, 2]);
    await waitFor(() => isEmpty(queue));

    broker.faults.dropConfirms(true); // the copy of the next one gets no confirm, so the original stays
    const { messaging } = await start({ service: 'elsewhere' });
    const outgoing = messaging.publisher.publish(route, 1, { unroutable: 'ignore' });
    await waitFor(() => attempts.all.length >= 3);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(unsettled(queue)).toBe(1);
    broker.faults.clear();
    broker.faults.disconnect();
    await outgoing;
    await waitFor(() => isEmpty(queue));
  },

  'the last call fails, or the error is unrecoverable': async () => {
    const application = await subscribed((body) => {
      throw body === 'never' ? new UnrecoverableError('not this one') : new TypeError('again');
    });
    const { deadLetters } = application.messaging;
    await publish(application, 'always', { id: 'exhausted', headers: { tenant: 'blue' } });
    await waitFor(async () => (await deadLetters.count()) === 1);
    await publish(application, 'never', { id: 'unrecoverable' });
    await waitFor(async () => (await deadLetters.count()) === 2);
    const [first, second] = await deadLetters.list();
    expect(first).toMatchObject({
      id: 'exhausted',
      deadLetterQueue: dlq,
      body: Buffer.from('"always"'),
      headers: { tenant: 'blue' },
      reason: 'attempts-exhausted',
      attempts: 2,
      error: { class: 'TypeError', message: 'again' },
    });
    expect(second).toMatchObject({ id: 'unrecoverable', reason: 'unrecoverable', attempts: 1 });
  },

  'a body cannot be decoded': async () => {
    const seen = new Seen<unknown>();
    const application = await subscribed((body) => seen.add(body));
    const { deadLetters } = application.messaging;
    const foreign = await start({
      service: 'foreign',
      serializer: {
        serialize: () => ({ body: Buffer.from('{"item'), contentType: 'application/json' }),
        deserialize: () => undefined,
      },
    });
    await publish(foreign);
    await waitFor(async () => (await deadLetters.count()) === 1);
    expect(await deadLetters.list()).toMatchObject([{ reason: 'undecodable', body: Buffer.from('{"item') }]);
    expect(seen.all).toEqual([]);
  },

  '`dlq: false`': async () => {
    const fail = (): never => {
      throw new UnrecoverableError('no');
    };
    const application = await subscribed(fail, { dlq: false });
    const settled = event(application.messaging, 'settled');
    await publish(application, 1, { id: 'dropped' });
    expect(await settled).toMatchObject({ outcome: 'discard' });
    await waitFor(() => isEmpty(queue));
    expect(application.log.lines.some((line) => /^warn .*dropped/.test(line))).toBe(true);
    expect(broker.queues().map(({ name }) => name)).toEqual([queue]);
  },

  'a retry or dead letter cannot be written': async () => {
    const application = await subscribed(() => {
      throw new UnrecoverableError('no');
    });
    broker.faults.nack((to) => to.kind === 'dead-letter');
    const stored = event(application.messaging, 'store-error');
    await publish(application, 1, { id: 'kept' });
    await stored;
    expect(ready(dlq)).toBe(0);
    expect(ready(queue) + unsettled(queue) + broker.delayed).toBe(1);
    broker.faults.clear();
    await waitFor(() => ready(dlq) === 1);
  },

  'the connection is lost while a handler runs': async () => {
    const aborted = new Seen<boolean>();
    const application = await subscribed(async (_, { signal }) => {
      if (aborted.all.length > 0) return;
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      aborted.add(signal.aborted);
      throw new UnrecoverableError('this no longer counts');
    });
    const again = new Seen<number>();
    application.messaging.events.on('delivered', ({ attempt }) => again.add(attempt));
    await publish(application);
    await again.until(1);
    broker.faults.disconnect();
    expect(await again.until(2)).toEqual([1, 1]);
    await waitFor(() => isEmpty(queue));
    expect(aborted.all).toEqual([true]);
    expect(ready(dlq)).toBe(0);
  },

  'a consumer is cancelled, or its queue deleted': async () => {
    const seen = new Seen<string>();
    const application = await subscribed((_, { id }) => seen.add(id));
    for (const [at, fault] of [() => broker.faults.cancel(queue), () => broker.faults.deleteQueue(queue)].entries()) {
      const stopped = event(application.messaging, 'consumer-stopped');
      fault();
      await stopped;
      await waitFor(() => health(application).consumers[0].state === 'consuming');
      await publish(application, 1, { id: `after-${at}` });
      await seen.until(at + 1);
    }
    expect(seen.all).toEqual(['after-0', 'after-1']);
  },

  'a message ends its process again and again': async () => {
    const first = await subscribed(() => undefined);
    await first.close();
    const publishing = await start({ service: 'elsewhere' });
    await publish(publishing, 1, { id: 'deadly' });
    for (let crash = 0; crash < 3; crash++) await crashOnDelivery();
    const seen = new Seen<string>();
    const application = await subscribed((_, { id }) => seen.add(id));
    await seen.until(1);
    await waitFor(() => isEmpty(queue));
    await application.close();
    await withTransport((transport) => sendSuspect(transport, 'deadly'));
    await crashOnDelivery();
    const { messaging } = await subscribed((_, { id }) => seen.add(id));
    await waitFor(async () => (await messaging.deadLetters.count()) === 1);
    expect(await messaging.deadLetters.list()).toMatchObject([{ id: 'deadly', reason: 'crashed' }]);
    expect(seen.all).toEqual(['deadly']);
  },

  'the application closes while handlers run': async () => {
    const started = new Seen<number>();
    const finished = new Seen<number>();
    const application = await subscribed(
      async (number: number) => {
        started.add(number);
        if (number === 2) await new Promise(() => undefined); // past the deadline
        await new Promise((resolve) => setTimeout(resolve, 50));
        finished.add(number);
      },
      { concurrency: bounded(2) },
    );
    for (const number of [1, 2, 3]) await publish(application, number);
    await started.until(2);
    await application.close();
    expect(started.all).toEqual([1, 2]);
    expect(finished.all).toEqual([1]);
    const attempts = new Map<number, number>();
    await subscribed((number: number, { attempt }) => attempts.set(number, attempt));
    await waitFor(() => attempts.size === 2);
    expect([...attempts].sort()).toEqual([
      [2, 1],
      [3, 1],
    ]);
  },

  '`partitioned({ … })`': async () => {
    const seen = new Seen<string>();
    const application = await subscribed(
      (body: string, { attempt }) => {
        seen.add(body);
        if (body === 'a1' && attempt === 1) throw new Error('once');
      },
      { concurrency: partitioned(), retry: { backoff: 100 } },
    );
    for (const body of ['a1', 'a2', 'b1']) await publish(application, body, { key: body[0] });
    expect(await seen.until(4)).toEqual(['a1', 'b1', 'a1', 'a2']);
    await waitFor(() => isEmpty(queue));
  },

  'some of a batch (`@SubscribeBatch`) fail': async () => {
    const application = await start();
    const calls = new Seen<string[]>();
    await application.messaging.subscribeBatch({ route, size: 3, maxWait: 60_000 }, (_, { entries }) => {
      calls.add(entries.map(({ id }) => id));
      return entries.map(({ id, attempt }) => (id === 'b' && attempt === 1 ? new Error('not yet') : Outcome.ack));
    });
    for (const id of ['a', 'b', 'c']) await publish(application, 1, { id });
    expect(await calls.until(2)).toEqual([['a', 'b', 'c'], ['b']]);
    await waitFor(() => isEmpty(queue) && isEmpty(dlq));
  },

  '`idempotent`, and a message comes again': async () => {
    const running = new Seen<string>();
    const application = await subscribed(
      async (body: string) => {
        running.add(body);
        await new Promise((resolve) => setTimeout(resolve, 50));
      },
      { idempotent: { lease: 200, window: 60_000 } },
    );
    for (let copy = 0; copy < 3; copy++) await publish(application, 'x', { id: 'same' });
    const counts = () => health(application).consumers[0].idempotency!;
    await waitFor(() => counts().duplicates === 2 && isEmpty(queue));
    expect(running.all).toEqual(['x']);
    expect(counts().deferred).toBeGreaterThanOrEqual(2);
  },

  'several handlers share a queue': async () => {
    const created = new Seen<unknown>();
    const paid = new Seen<unknown>();
    class Orders {
      created(body: unknown): void {
        created.add(body);
      }
      paid(body: unknown): void {
        paid.add(body);
      }
    }
    const { prototype } = Orders;
    Subscribe('order.created', { name: 'orders' })(prototype, 'created', descriptor(prototype, 'created'));
    Subscribe('order.paid', { name: 'orders' })(prototype, 'paid', descriptor(prototype, 'paid'));
    const module = MessagingModule.forRoot({ service: 'orders', transport: memory({ broker }) });
    const application = await boot({ imports: [module], providers: [Orders] });
    const { publisher, deadLetters } = application.messaging;
    await publisher.publishMany(
      [1, 2, 3].flatMap((body) => [
        { route: 'order.created', body },
        { route: 'order.paid', body },
      ]),
    );
    await publisher.sendToQueue('orders:orders:queue', 'to nobody');
    await waitFor(async () => (await deadLetters.count()) === 1);
    expect(await deadLetters.list()).toMatchObject([{ reason: 'no-handler', body: Buffer.from('"to nobody"') }]);
    expect([await created.until(3), await paid.until(3)]).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
  },

  'a loop over `messaging.receive` is left, or the application closes': async () => {
    const application = await subscribed();
    await application.close();
    const one = await start();
    const messages = one.messaging.receive(route);
    const first = messages.next();
    await waitFor(() => health(one).consumers[0]?.state === 'consuming');
    for (let n = 0; n < 5; n++) await publish(one, n, { id: `m${n}` });
    const { value: held } = await first;
    await messages.return();
    expect([ready(queue), unsettled(queue)]).toEqual([4, 1]);
    expect(await held!.ack()).toBe('ack');
    const second = one.messaging.receive(route);
    const abandoned = (await second.next()).value!;
    await one.close();
    expect(await second.next()).toMatchObject({ done: true });
    expect([abandoned.signal.aborted, await abandoned.ack(), ready(queue)]).toEqual([true, 'released', 4]);
    const attempts = new Seen<number>();
    const { messaging } = await start();
    await messaging.subscribe({ route }, (_, { attempt }) => attempts.add(attempt));
    expect(await attempts.until(4)).toEqual([1, 1, 1, 1]);
  },

  '`killSwitch`, and the handler fails too often': async () => {
    const seen = new Seen<string>();
    let down = true;
    const application = await subscribed(
      (body: string) => {
        seen.add(body);
        if (down) throw new Error('the database is down');
      },
      { killSwitch: { failures: 2, probeAfter: 100 }, concurrency: bounded(1), retry: { attempts: 9, backoff: 0 } },
    );
    for (let n = 0; n < 20; n++) await publish(application, `m${n}`);
    await waitFor(() => health(application).consumers[0].state === 'paused');
    expect(health(application)).toMatchObject({
      status: 'degraded',
      consumers: [{ reason: 'kill switch: 2 of the last 2 handler calls failed' }],
    });
    expect(seen.all).toHaveLength(2);
    await seen.until(4); // two probes that failed
    down = false;
    await waitFor(() => isEmpty(queue) && health(application).status === 'up');
    expect(new Set(seen.all).size).toBe(20);
    expect(ready(dlq)).toBe(0);
  },

  'the broker is down when the application starts': async () => {
    broker.faults.refuse();
    const seen = new Seen<unknown>();
    const application = await subscribed((body) => seen.add(body));
    expect(health(application)).toMatchObject({ status: 'down', consumers: [{ queue, state: 'waiting' }] });
    broker.faults.accept();
    await waitFor(() => health(application).status === 'up');
    await publish(application, 'hello');
    expect(await seen.until(1)).toEqual(['hello']);
  },

  'the application publishes while it starts': async () => {
    const seen = new Seen<unknown>();
    const outcomes: string[] = [];
    let bootstrapped = false;
    class Starting {
      constructor(private readonly publisher: Publisher) {
        void publisher.publish(route, 'constructor').then(({ outcome }) => outcomes.push(outcome));
      }
      async onModuleInit(): Promise<void> {
        outcomes.push((await this.publisher.publish(route, 'init')).outcome);
      }
      async onApplicationBootstrap(): Promise<void> {
        outcomes.push((await this.publisher.publish(route, 'bootstrap')).outcome);
        bootstrapped = true;
      }
      handle(body: unknown): void {
        seen.add(bootstrapped ? body : 'too early');
      }
    }
    Subscribe(route)(Starting.prototype, 'handle', descriptor(Starting.prototype, 'handle'));
    const options = { service: 'orders', transport: memory({ broker }) };
    await boot({
      imports: [MessagingModule.forRoot(options)],
      providers: [
        { provide: Starting, useFactory: (publisher: Publisher) => new Starting(publisher), inject: [Publisher] },
      ],
    });
    expect([...(await seen.until(3))].sort()).toEqual(['bootstrap', 'constructor', 'init']);
    expect(outcomes).toEqual(['queued', 'confirmed', 'confirmed']);
  },
};

describe('docs/guarantees.md, when', () => {
  beforeEach(() => {
    broker = new MemoryBroker();
  });
  afterEach(() => {
    broker.faults.clear();
    return closeApplications();
  });

  const rows = Markdown.read('docs/guarantees.md')
    .tables()
    .flat()
    .map(({ when, then }) => [when, then]);

  test('there is a test for each row, and a row for each test', () => {
    expect(rows.map(([when]) => when)).toEqual(Object.keys(guarantees));
  });

  test.each(rows)('%s: %s', (when) => guarantees[when]());
});

/** A process that takes the message and ends without a word. */
function crashOnDelivery(): Promise<void> {
  return withTransport(async (transport) => {
    const topology = { queue, patterns: [route], deadLetter: { queue: dlq, route: dlq }, provision: true };
    await new Promise<void>((resolve, reject) => {
      const handlers = { delivery: () => resolve(), lost: () => undefined, state: () => undefined };
      transport.subscribe({ topology, prefetch: 1 }, handlers).catch(reject);
    });
  });
}

/** As a process leaves a message that is about to be called alone for the second time. */
function sendSuspect(transport: Transport, id: string): Promise<void> {
  const headers = { 'messaging-attempt': 3, 'messaging-suspect': 2, 'messaging-origin-route': route };
  const message = { id, route, body: Buffer.from('{}'), headers, properties: {} };
  const to = { kind: 'queue', queue } as const;
  return new Promise((resolve) =>
    transport.publish([{ to, message, dedupeId: `${id}:again`, mandatory: true }], () => resolve()),
  );
}

async function withTransport(work: (transport: Transport) => Promise<void>): Promise<void> {
  const transport = memory({ broker }).create();
  await transport.connect({
    clock: systemClock,
    service: 'orders',
    random: Math.random,
    reconnect: { initial: 20, max: 20, jitter: 0 },
    confirmTimeout: 1_000,
    provision: true,
    onEvent: () => undefined,
  });
  await work(transport);
  await transport.close();
}
