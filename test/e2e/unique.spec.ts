import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  diskRetryQueue,
  MemoryBroker,
  message,
  MessagingModule,
  type MessagingModuleOptions,
  type PublishOptions,
} from 'nestjs-messaging';
import { rabbitmq } from 'nestjs-messaging/rabbitmq';
import { type CoordinationStore } from 'nestjs-messaging/stores';
import type { ManualClock } from 'nestjs-messaging/testing';
import { newDirectory } from '../brokers/run-directory.js';
import { type Application, boot, closeApplications } from './support/application.js';
import { SharedCoordination } from './support/shared-coordination.js';

type Unique = NonNullable<PublishOptions['unique']>;

let shared: SharedCoordination;
let clock: ManualClock;
let store: CoordinationStore;
let handled: { readonly n: number; readonly id: string }[];

beforeEach(() => {
  shared = new SharedCoordination();
  ({ clock, store } = shared);
  handled = [];
});
afterEach(closeApplications);

async function start(own = store, broker = shared.broker, options: MessagingModuleOptions = {}): Promise<Application> {
  const app = await shared.start(options, { store: own, broker });
  await app.messaging.subscribe<{ n: number }>({ route: 'job' }, ({ n }, { id }) => void handled.push({ n, id }));
  return app;
}

const publish = ({ messaging }: Application, n: number, unique: Partial<Unique> = {}, options: PublishOptions = {}) =>
  messaging.publisher.publish('job', { n }, { ...options, unique: { key: 'a', for: 60_000, ...unique } });

describe('a unique publish', () => {
  test('is sent once by all processes within its time, and again after that', async () => {
    const [one, two] = [await start(), await start()];
    const first = await publish(one, 1);
    expect(first.outcome).toBe('confirmed');
    const second = await publish(two, 2);
    expect(first.duplicate).toBeUndefined();
    expect([second.duplicate, second.outcome, second.id]).toEqual([true, 'confirmed', first.id]);
    expect(await second.settled).toEqual({ id: first.id, outcome: 'confirmed' });
    expect((await publish(two, 3, { key: 'b' })).outcome).toBe('confirmed');
    await clock.advance(60_000);
    expect((await publish(two, 4)).outcome).toBe('confirmed');
    await clock.advance(10);
    expect(handled.map(({ n }) => n)).toEqual([1, 3, 4]);
  });

  test('of many at once is one', async () => {
    const processes = [await start(), await start(), await start()];
    const publishing = Promise.all(Array.from({ length: 30 }, (_, n) => publish(processes[n % 3], n)));
    await clock.advance(1_000);
    expect((await publishing).filter(({ duplicate }) => !duplicate).length).toBe(1);
    await clock.advance(10);
    expect(handled.length).toBe(1);
  });

  test('that is refused leaves its key to the next', async () => {
    const one = await start();
    const refused = one.messaging.publisher.publish('nobody', {}, { unique: { key: 'a', for: 60_000 } });
    await expect(refused).rejects.toMatchObject({ code: 'UNROUTABLE' });
    expect((await publish(one, 1)).outcome).toBe('confirmed');
  });

  test('whose answer was lost leaves its key and its id to the next: the broker may have it all the same', async () => {
    const [one, two] = [await start(), await start()];
    shared.broker.faults.dropConfirms(true);
    const lost = expect(publish(one, 1, {}, { attempts: 1 })).rejects.toMatchObject({ retryable: true });
    await clock.advance(30_000);
    await lost;
    shared.broker.faults.dropConfirms(false);
    const { outcome, id } = await publish(two, 2);
    expect(outcome).toBe('confirmed');
    await clock.advance(10);
    expect(handled).toEqual([
      { n: 1, id },
      { n: 2, id },
    ]);
    expect(await publish(one, 3)).toMatchObject({ duplicate: true, id });
  });

  test('whose answer was lost keeps the key from nobody, though its last renewal comes late', async () => {
    const held: (() => void)[] = [];
    const slow: CoordinationStore = {
      change: async (key, change) => {
        if (key.includes('unique:') && ++changes === 2) await new Promise<void>((resolve) => held.push(resolve));
        return store.change(key, change);
      },
      close: async () => undefined,
    };
    let changes = 0;
    const one = await start(slow, shared.broker, { confirmTimeout: 15_000 });
    const two = await start();
    shared.broker.faults.dropConfirms(true);
    const lost = expect(publish(one, 1, {}, { attempts: 1 })).rejects.toMatchObject({ retryable: true });
    await clock.advance(30_000);
    await lost;
    expect(held).toHaveLength(1);
    held[0]();
    await clock.advance(0);
    shared.broker.faults.dropConfirms(false);
    expect((await publish(two, 2)).outcome).toBe('confirmed');
  });

  test('whose process is killed after it was sent comes again under the same id; before, it is sent by the next', async () => {
    let answers = 1;
    const killed: CoordinationStore = {
      change: (key, change) => (answers-- > 0 ? store.change(key, change) : new Promise(() => undefined)),
      close: async () => undefined,
    };
    const dying = await start(killed);
    answers = 1;
    void publish(dying, 1);
    await clock.advance(10);
    expect(handled.length).toBe(1);
    const next = publish(await start(), 2);
    await clock.advance(20_000);
    expect(handled.length).toBe(1);
    await clock.advance(11_000);
    expect((await next).outcome).toBe('confirmed');
    await clock.advance(10);
    expect(handled.map(({ n }) => n)).toEqual([1, 2]);
    expect(handled[1].id).toBe(handled[0].id);
  });

  test('that waits in memory counts as sent while its process lives, and is sent by the next under its id after that', async () => {
    const apart = new MemoryBroker({ clock });
    let dead = false;
    const killed: CoordinationStore = {
      change: (key, change) => (dead ? new Promise(() => undefined) : store.change(key, change)),
      close: async () => undefined,
    };
    const [dying, two] = [await start(killed, apart), await start()];
    apart.faults.refuse();
    apart.faults.disconnect();
    const first = await publish(dying, 1, { for: 600_000 });
    expect(first).toMatchObject({ outcome: 'queued', stored: 'memory' });
    await clock.advance(120_000);
    expect(await publish(two, 2, { for: 600_000 })).toMatchObject({ duplicate: true, outcome: 'queued' });
    dead = true;
    await clock.advance(31_000);
    expect(await publish(two, 3, { for: 600_000 })).toMatchObject({ outcome: 'confirmed', id: first.id });
    await clock.advance(10);
    expect(handled).toEqual([{ n: 3, id: first.id }]);
    dead = false;
    apart.faults.accept();
    await clock.advance(60_000);
  });

  test('that waited in memory is a duplicate of what was confirmed when it is sent', async () => {
    const apart = new MemoryBroker({ clock });
    const [one, two] = [await start(store, apart), await start()];
    apart.faults.refuse();
    apart.faults.disconnect();
    const first = await publish(one, 1, { for: 600_000 });
    apart.faults.accept();
    await clock.advance(60_000);
    expect(await first.settled).toMatchObject({ outcome: 'confirmed' });
    expect(await publish(two, 2, { for: 600_000 })).toMatchObject({ duplicate: true, outcome: 'confirmed' });
  });

  test('that takes long to be sent keeps its key for as long, also for a process whose time is a little behind', async () => {
    const behind: CoordinationStore = {
      change: (key, change) => store.change(key, (state, now) => change(state, now - 50)),
      close: async () => undefined,
    };
    const [one, two] = [await start(), await start(behind)];
    let send = (): void => undefined;
    const slow = { serialize: () => ({ body: Buffer.from('{"n":1}') }), deserialize: () => ({ n: 1 }) };
    const schema = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value: unknown) => new Promise<{ value: unknown }>((resolve) => (send = () => resolve({ value }))),
      },
    } as const;
    const unique = { key: 'a', for: 600_000 };
    const first = one.messaging.publisher.publish(message('job', schema, { serializer: slow }), { n: 1 }, { unique });
    await clock.advance(10);
    const second = publish(two, 2, { for: 600_000 });
    await clock.advance(200_000);
    expect(handled).toEqual([]);
    send();
    await clock.advance(1_000);
    expect([(await first).duplicate, (await second).duplicate]).toEqual([undefined, true]);
    expect(handled.map(({ n }) => n)).toEqual([1]);
  });

  test('that waits on disk counts as sent while its process lives and ten minutes more; one that is lost there blocks no longer', async () => {
    const apart = new MemoryBroker({ clock });
    let dead = false;
    const killed: CoordinationStore = {
      change: (key, change) => (dead ? new Promise(() => undefined) : store.change(key, change)),
      close: async () => undefined,
    };
    const retryQueue = { store: diskRetryQueue({ directory: newDirectory('unique') }) };
    const [dying, two] = [await start(killed, apart, { retryQueue }), await start()];
    apart.faults.refuse();
    apart.faults.disconnect();
    const day = { for: 86_400_000 };
    const first = await publish(dying, 1, day);
    expect(first).toMatchObject({ outcome: 'queued', stored: 'disk' });
    await clock.advance(1_800_000);
    expect(await publish(two, 2, day)).toMatchObject({ duplicate: true, outcome: 'queued', id: first.id });
    dead = true;
    await clock.advance(580_000);
    expect(await publish(two, 3, day)).toMatchObject({ duplicate: true, outcome: 'queued', id: first.id });
    await clock.advance(30_000);
    expect(await publish(two, 4, day)).toMatchObject({ outcome: 'confirmed', id: first.id });
    await clock.advance(10);
    expect(handled).toEqual([{ n: 4, id: first.id }]);
    dead = false;
    apart.faults.accept();
    await clock.advance(60_000);
  });

  test('is sent while the store is down, and the log says so once', async () => {
    const one = await start();
    shared.down = true;
    expect([(await publish(one, 1)).outcome, (await publish(one, 2)).outcome]).toEqual(['confirmed', 'confirmed']);
    expect(one.log.lines.filter((line) => line.includes('may come twice')).length).toBe(1);
  });

  test.each<[Partial<Unique>, RegExp]>([
    [{ key: '' }, /unique\.key/],
    [{ for: 0 }, /unique\.for/],
    [{ for: 1e12 }, /unique\.for/],
    [{ within: 5 } as never, /within/],
  ])('with %j is refused', async (unique, expected) => {
    await expect(publish(await start(), 1, unique)).rejects.toThrow(expected);
  });

  test('is refused where only one message after the other could be told', async () => {
    const { messaging } = await start();
    const unique = { key: 'a', for: 1_000 };
    await expect(messaging.publisher.sendToQueue('shop:job:queue', 1, { unique } as never)).rejects.toThrow(
      /publish and emit/,
    );
    const [result] = await messaging.publisher.publishMany([{ route: 'job', body: 1, unique } as never]);
    expect(result).toMatchObject({ outcome: 'rejected', error: { code: 'INVALID_OPTION' } });
  });

  test('without a store that processes share is refused with the remedy', async () => {
    const transport = rabbitmq({ url: 'amqp://127.0.0.1:1' });
    const app = await boot({ imports: [MessagingModule.forRoot({ service: 'shop', transport, shutdownTimeout: 1 })] });
    await expect(publish(app, 1)).rejects.toThrow(/«coordination».*publish\(\{ unique \}\) needs it/s);
  });
});
