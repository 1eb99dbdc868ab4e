import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { Clock } from '../../../lib/clock/clock.js';
import type { Change, CoordinationStore } from '../../../lib/coordination/coordination-store.js';
import { memoryCoordinationStore } from '../../../lib/coordination/memory-coordination-store.js';
import { type Found, OptimisticChanges } from '../../../lib/coordination/optimistic-changes.js';
import { sqliteCoordinationStore } from '../../../lib/coordination/sqlite-coordination-store.js';
import {
  coordinationStoreContract,
  type CoordinationStoreHarness,
} from '../../../lib/testing/coordination-store-contract.js';

const dispose = (): void => undefined;

const memory: CoordinationStoreHarness = {
  create: (clock) => {
    const store = memoryCoordinationStore().create({ clock });
    return { open: () => store, dispose };
  },
};

const sqlite: CoordinationStoreHarness = {
  create: (clock) => {
    const folder = mkdtempSync(join(tmpdir(), 'coordination-'));
    const factory = sqliteCoordinationStore({ file: join(folder, 'shared.sqlite') });
    return { open: () => factory.create({ clock }), dispose: () => rmSync(folder, { recursive: true }) };
  },
};

/** A server that only compares, and whose answers come in any order. */
class ComparingServer {
  readonly entries = new Map<string, { state: string; endsAt: number; version: number }>();
  versions = 0;

  constructor(readonly clock: Clock) {}

  async read(key: string): Promise<Found<number>> {
    for (let turns = Math.random() * 3; turns > 0; turns--) await new Promise(setImmediate);
    const now = this.clock.now();
    const entry = this.entries.get(key);
    return entry && entry.endsAt > now
      ? { now, state: entry.state, version: entry.version }
      : { now, state: undefined, version: entry?.version ?? 0 };
  }

  async write(key: string, version: number, state: string | null, keepMs: number): Promise<Found<number> | undefined> {
    for (let turns = Math.random() * 3; turns > 0; turns--) await new Promise(setImmediate);
    if ((this.entries.get(key)?.version ?? 0) !== version) return this.read(key);
    if (state === null) this.entries.delete(key);
    else this.entries.set(key, { state, endsAt: this.clock.now() + keepMs, version: ++this.versions });
    return undefined;
  }

  failure(reason: string): Error {
    return new Error(reason);
  }
}

/** The pauses between its tries are real: the clock of the contract stands still meanwhile. */
const pausing = (clock: Clock): Clock => ({
  now: () => clock.now(),
  monotonic: () => clock.monotonic(),
  after: (_, callback) => {
    const immediate = setImmediate(callback);
    return () => clearImmediate(immediate);
  },
});

const optimistic: CoordinationStoreHarness = {
  create: (clock) => {
    const server = new ComparingServer(clock);
    const open = (): CoordinationStore => {
      const changes = new OptimisticChanges(server, pausing(clock), 60_000);
      return { change: (key, change) => changes.change(key, change), close: () => changes.settled() };
    };
    return { open, dispose };
  },
};

describe.each([
  ['memoryCoordinationStore', memory],
  ['sqliteCoordinationStore', sqlite],
  ['a store of a server that only compares', optimistic],
])('%s', (_, harness) => {
  for (const { name, run } of coordinationStoreContract(harness)) test(name, run);
});

/** A store with one mistake in it. */
type Mistake = (store: CoordinationStore) => Partial<CoordinationStore>;

const mistakes: Record<string, Mistake> = {
  'nothing is kept': () => ({ change: async (_, change) => change(undefined, 0).result }),
  'an entry has no end': (store) => ({
    change: (key, change) => store.change(key, (...found) => ({ ...change(...found), keepMs: 1e12 }) as never),
  }),
  'a look writes': (store) => ({
    change: (key, change) =>
      store.change(key, (state, now) => ({ state: '', keepMs: 1e6, ...change(state, now) }) as never),
  }),
  'what is deleted stays': (store) => ({
    change: (key, change) =>
      store.change(key, (state, now) => {
        const { result, ...changed } = change(state, now);
        return changed.state === null ? { result } : { result, ...changed };
      }),
  }),
  'an entry is read first and written later': (store) => ({
    async change(key, change) {
      const [state, now] = await store.change<[string | undefined, number]>(key, (...found) => ({ result: found }));
      await Promise.resolve();
      const changed = change(state, now);
      return store.change(key, () => changed);
    },
  }),
  'a change that throws writes': (store) => ({
    async change<T>(key: string, change: Change<T>) {
      try {
        return await store.change(key, change);
      } catch (error) {
        await store.change(key, () => ({ result: undefined, state: 'broken', keepMs: 1e6 }));
        throw error;
      }
    },
  }),
  'keys are compared without their case': (store) => ({
    change: (key, change) => store.change(key.toLowerCase(), change),
  }),
  'an empty state is none': (store) => ({
    change: (key, change) => store.change(key, (state, now) => change(state || undefined, now)),
  }),
  'the time is another': (store) => ({
    change: (key, change) => store.change(key, (state, now) => change(state, now + 5)),
  }),
};

describe('the contract is broken by a store where', () => {
  test.each(Object.entries(mistakes))('%s', async (_, mistake) => {
    const broken: CoordinationStoreHarness = {
      create: (clock) => {
        const store = memoryCoordinationStore().create({ clock });
        const faulty = Object.assign(Object.create(store) as CoordinationStore, mistake(store));
        return { open: () => faulty, dispose };
      },
    };
    const results = await Promise.allSettled(coordinationStoreContract(broken).map(({ run }) => run()));
    expect(results.filter(({ status }) => status === 'rejected')).not.toEqual([]);
  });
});

test('a process that others always come before gives up in time, and says so', async () => {
  const clock: Clock & { at: number } = { ...pausing({} as Clock), at: 0, now: () => 0, monotonic: () => clock.at };
  const server = new ComparingServer(clock);
  server.write = async (key) => {
    clock.at += 10;
    return server.read(key);
  };
  const changes = new OptimisticChanges(server, clock, 100);
  await expect(changes.change('key', () => ({ result: 1, state: 'a', keepMs: 1 }))).rejects.toThrow(
    'others changed the entry 10 times within 100 ms',
  );
});
