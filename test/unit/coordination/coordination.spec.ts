import { expect, test } from '@jest/globals';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import { Coordination } from '../../../lib/coordination/coordination.js';
import type { CoordinationStore } from '../../../lib/coordination/coordination-store.js';
import { memoryCoordinationStore } from '../../../lib/coordination/memory-coordination-store.js';
import { CoordinationStoreError } from '../../../lib/errors/coordination-errors.js';

test('each connection has entries of its own in a store that several share, and all processes have the same', async () => {
  const clock = new ManualClock();
  const store = memoryCoordinationStore().create({ clock });
  const of = (connection?: string) => new Coordination({ kind: 'shared', create: () => store }, clock, connection);
  const ask = (connection?: string): Promise<string | undefined> =>
    of(connection)
      .store('a test')
      .change('unique:shop:a', (state) =>
        state === undefined ? { result: state, state: connection ?? 'unnamed', keepMs: 60_000 } : { result: state },
      );
  const connections = [undefined, 'other', 'other:a', 'default'];
  const first = [];
  for (const connection of connections) first.push(await ask(connection));
  expect(first).toEqual([undefined, undefined, undefined, 'unnamed']);
  const second = [];
  for (const connection of connections) second.push(await ask(connection));
  expect(second).toEqual(['unnamed', 'other', 'other:a', 'unnamed']);
});

test('health tells of the store that processes share whether it could be reached last, and why not', async () => {
  const clock = new ManualClock();
  const kept = memoryCoordinationStore().create({ clock });
  let down = false;
  const store: CoordinationStore = {
    change: async (key, change) => {
      if (down) throw new CoordinationStoreError('the server does not answer');
      return kept.change(key, change);
    },
    close: async () => undefined,
  };
  const coordination = new Coordination({ kind: 'postgres', create: () => store }, clock);
  expect(coordination.health()).toBeUndefined();
  const ask = (): Promise<void> => coordination.store('a test').change('key', () => ({ result: undefined }));
  await ask();
  expect(coordination.health()).toEqual({ store: 'postgres', reachable: true });
  down = true;
  await expect(ask()).rejects.toThrow();
  expect(coordination.health()).toEqual({ store: 'postgres', reachable: false, reason: 'the server does not answer' });
  down = false;
  const thrown = coordination.store('a test').change('key', () => {
    throw new RangeError('no');
  });
  await expect(thrown).rejects.toThrow(RangeError);
  expect(coordination.health()).toEqual({ store: 'postgres', reachable: true });
  expect(new Coordination(memoryCoordinationStore(), clock).health()).toBeUndefined();
});
