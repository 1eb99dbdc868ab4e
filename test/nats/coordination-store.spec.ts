import { randomUUID } from 'node:crypto';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type Clock, systemClock } from 'nestjs-messaging';
import { type CoordinationStore, natsCoordinationStore, type NatsStoreOptions } from 'nestjs-messaging/stores';
import { coordinationStoreContract } from 'nestjs-messaging/testing';
import { Bucket } from '../../lib/transports/nats/bucket.js';
import { bucketPlace } from '../../lib/transports/nats/bucket-options.js';
import { describeNats, describeNatsNode } from '../brokers/nats.js';
import { waitFor } from '../brokers/wait-for.js';
import { closePlain, connectPlain, managerOf } from './plain.js';

const KEEP = 60_000;
const opened: CoordinationStore[] = [];

function open(options: NatsStoreOptions): CoordinationStore {
  const store = natsCoordinationStore(options).create({ clock: systemClock });
  opened.push(store);
  return store;
}

const increase = (store: CoordinationStore, key: string): Promise<number> =>
  store.change(key, (state = '0') => ({ result: Number(state) + 1, state: `${Number(state) + 1}`, keepMs: KEEP }));
const look = (store: CoordinationStore, key: string): Promise<string | undefined> =>
  store.change(key, (state) => ({ result: state }));

afterEach(async () => {
  await Promise.all(opened.splice(0).map((store) => store.close()));
  await closePlain();
});

describeNats('the coordination store in NATS', (nats) => {
  let servers: string;
  beforeAll(async () => void (servers = await nats.url()));

  describe('keeps the contract:', () => {
    const cases = coordinationStoreContract({
      create(clock) {
        const factory = natsCoordinationStore({ servers, bucket: randomUUID() });
        return { open: () => factory.create({ clock }), dispose: () => undefined };
      },
    });
    for (const { name, run } of cases) test(name, run);
  });

  test('goes by the clock of the server, whatever those of processes say', async () => {
    const bucket = randomUUID();
    const store = open({ servers, bucket });
    const told = await store.change('key', (_, now) => ({ result: now, state: 'a', keepMs: KEEP }));
    const manager = await managerOf(servers);
    const stored = await manager.streams.getMessage(`KV_${bucket}`, { last_by_subj: `$KV.${bucket}.key` });
    // The machine has one clock; how long the answers took is what it may be wrong by.
    expect(Math.abs(told - stored!.time.getTime())).toBeLessThan(30_000);
    expect(Number(stored!.string().split(' ')[0])).toBe(told + KEEP);
  });

  test('of processes that open it at once is made by one of them', async () => {
    const bucket = randomUUID();
    const stores = Array.from({ length: 8 }, () => open({ servers, bucket }));
    const counts = await Promise.all(stores.map((store) => increase(store, 'key')));
    expect(counts.sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test('leaves nothing of what is over, nor of what is deleted', async () => {
    const bucket = randomUUID();
    const store = open({ servers, bucket });
    for (let n = 0; n < 20; n++) await store.change(`over-${n}`, () => ({ result: n, state: 'a', keepMs: 1 }));
    await store.change('kept', () => ({ result: 0, state: 'a', keepMs: KEEP }));
    await store.change('deleted', () => ({ result: 0, state: 'a', keepMs: KEEP }));
    await store.change('deleted', () => ({ result: 0, state: null }));
    const { streams } = await managerOf(servers);
    let n = 0;
    await waitFor(async () => {
      await store.change(`new-${n++}`, () => ({ result: 0, state: 'a', keepMs: KEEP }));
      const { state } = await streams.info(`KV_${bucket}`, { subjects_filter: `$KV.${bucket}.>` });
      return !Object.keys(state.subjects ?? {}).some((subject) => /over|deleted/.test(subject));
    }, 'what is over to be gone');
    expect(await look(store, 'kept')).toBe('a');
  });

  test('removes what is over however much is written meanwhile', async () => {
    const bucket = randomUUID();
    const store = open({ servers, bucket });
    // They are looked at while they count, and are over later.
    for (let n = 0; n < 5; n++) await store.change(`over-${n}`, () => ({ result: n, state: 'a', keepMs: 2_000 }));
    const { streams } = await managerOf(servers);
    let n = 0;
    await waitFor(async () => {
      // Each is the newest for a moment, and two come for each new key.
      await store.change(`new-${n++}`, () => ({ result: 0, state: 'a', keepMs: KEEP }));
      for (const key of ['busy', 'busier']) await increase(store, key);
      const { state } = await streams.info(`KV_${bucket}`, { subjects_filter: `$KV.${bucket}.>` });
      return !Object.keys(state.subjects ?? {}).some((subject) => subject.includes('over'));
    }, 'what is over to be gone');
  });

  test('reads the clock of the server again before it goes by a reading that is old', async () => {
    let slept = 0;
    const clock: Clock = { ...systemClock, monotonic: () => systemClock.monotonic() + slept };
    const bucket = new Bucket(bucketPlace('store', { servers, bucket: randomUUID() }, ''), clock);
    try {
      const before = await bucket.now();
      slept = 3_600_000;
      expect((await bucket.now()) - before).toBeLessThan(1_800_000);
    } finally {
      await bucket.close();
    }
  });

  test('in a bucket of memory is refused where it is to be kept in a file', async () => {
    const bucket = randomUUID();
    await open({ servers, bucket, storage: 'memory' }).open!();
    await expect(open({ servers, bucket }).open!()).rejects.toThrow(
      /storage is memory, which does not survive the server/,
    );
  });

  test('in a bucket that is kept otherwise is refused at boot, with all that differs; so is an account without JetStream', async () => {
    const bucket = randomUUID();
    const { streams } = await managerOf(servers);
    await streams.add({ name: `KV_${bucket}`, subjects: [`$KV.${bucket}.>`], max_age: 1e9, deny_delete: true });
    const opening = open({ servers, bucket }).open!();
    await expect(opening).rejects.toMatchObject({ code: 'COORDINATION_STORE' });
    await expect(opening).rejects.toThrow(
      /max_msgs_per_subject is .*, and has to be 1; discard is old, and has to be new; deny_delete is true.*max_age is 1000000000.*another «bucket»/,
    );
  });

  test('uses a connection of the application, and leaves it open', async () => {
    const client = await connectPlain(servers);
    const store = open({ client, bucket: randomUUID() });
    expect(await increase(store, 'key')).toBe(1);
    await store.close();
    expect(client.isClosed()).toBe(false);
    await expect(increase(store, 'key')).rejects.toMatchObject({ code: 'COORDINATION_STORE' });
  });
});

describeNatsNode('the coordination store in NATS under faults', (nats) => {
  test('a server that is down is no reason not to start; a call fails in time, and works when the server is there', async () => {
    const server = await nats.start();
    await server.kill();
    const store = open({ servers: server.url, waitTimeout: 500 });
    await store.open!();
    await expect(increase(store, 'key')).rejects.toMatchObject({ code: 'COORDINATION_STORE', retryable: true });
    await server.restart();
    await waitFor(() => increase(store, 'key').then(() => true, () => false), 'a change'); // prettier-ignore
  });

  test('a server that is killed amid changes: each that was told is kept, and none is made twice', async () => {
    const server = await nats.start();
    const stores = Array.from({ length: 3 }, () => open({ servers: server.url, bucket: 'killed', waitTimeout: 1_000 }));
    const told: number[] = [];
    let unknown = 0;
    let stopped = false;
    const work = async (store: CoordinationStore): Promise<void> => {
      while (!stopped)
        await increase(store, 'key').then(
          (count) => void told.push(count),
          (error: unknown) => {
            expect(error).toMatchObject({ code: 'COORDINATION_STORE' });
            unknown++;
          },
        );
    };
    const working = stores.map(work);
    for (let kills = 0; kills < 3; kills++) {
      const before = told.length;
      await waitFor(() => told.length > before + 20, 'changes');
      await server.kill();
      await server.restart();
    }
    const before = told.length;
    await waitFor(() => told.length > before + 20, 'changes after the last kill');
    stopped = true;
    await Promise.all(working);
    expect(new Set(told).size).toBe(told.length);
    const count = Number(await look(stores[0], 'key'));
    expect(count).toBe(Math.max(...told));
    expect(count).toBeLessThanOrEqual(told.length + unknown);
  });

  test('a server without JetStream is refused at boot with the remedy', async () => {
    const server = await nats.start({ jetstream: false });
    await expect(open({ servers: server.url }).open!()).rejects.toThrow(/JetStream is not enabled.*-js/s);
  });

  test('wrong credentials are refused at boot, and shown nowhere', async () => {
    const server = await nats.start({ user: { name: 'shop', password: 'right' } });
    const servers = server.url.replace('right', 'wrong-secret');
    const error = (await open({ servers }).open!().catch((thrown: unknown) => thrown)) as Error;
    expect(error.message).toContain('refuses the credentials');
    expect(JSON.stringify(error) + error.message + String(error.stack)).not.toContain('wrong-secret');
  });
});

test.each([
  [{ bucket: 'a.b' }, 'bucket'],
  [{ replicas: 6 }, 'replicas'],
  [{ storage: 'tape' }, 'storage'],
  [{ waitTimeout: 5 }, 'waitTimeout'],
  [{ servers: 'http://a' }, 'servers'],
  [{ servers: 'nats://a', client: {} }, 'client'],
  [{ stream: 'events' }, 'stream'],
])('natsCoordinationStore refuses %j', (options, option) => {
  expect(() => natsCoordinationStore(options as never)).toThrow(option);
});
