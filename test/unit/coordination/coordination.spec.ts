import { expect, test } from '@jest/globals';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import { Coordination } from '../../../lib/coordination/coordination.js';
import { memoryCoordinationStore } from '../../../lib/coordination/memory-coordination-store.js';

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
