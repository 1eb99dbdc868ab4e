import { waitFor } from '../../brokers/wait-for.js';
import { firstOutOfOrder } from '../checker.js';
import type { Entry } from '../journal.js';
import type { Cell } from '../cell.js';
import type { FaultCase } from '../fault-case.js';

const ordered = { awaited: { rate: 400, keys: 20 }, unawaited: { rate: 400, keys: 20, ordered: 5 } };

export const orderFaults: readonly FaultCase[] = [
  {
    name: 'order-through-outage',
    title: 'Awaited publishes of a key stay in order through outages of the publisher',
    queueTypes: ['quorum', 'classic'],
    short: ['plain'],
    worker: { handlerMs: [5, 25] },
    load: ordered.awaited,
    run: inOrder,
  },
  {
    name: 'ordered-through-outage',
    title: 'So do publishes that nobody awaits, with «ordered: true»',
    worker: { handlerMs: [5, 25] },
    load: ordered.unawaited,
    run: inOrder,
  },
];

async function inOrder(cell: Cell): Promise<void> {
  const busy = async (): Promise<void> => {
    const before = cell.consumer.count('end');
    await waitFor(() => cell.consumer.count('end') > before + 100, 'a steady load', 20_000);
  };
  for (let outage = 0; outage < 3; outage++) {
    await busy();
    await cell.proxy.refuse(true);
    await cell.strike(() => cell.proxy.reset());
    await cell.expect(cell.publisher, 'queued', 150);
    await cell.proxy.refuse(false);
    // The next outage may begin while the queue of this one is still being sent.
    await cell.expect(cell.publisher, 'connected');
  }
  await cell.recovered();
  await busy();
  await cell.publisher.tell({ do: 'stop-load' });
  await waitFor(async () => (await cell.publisher.status()).unsettled === 0, 'the retry queue to drain', 20_000);
  const wrong = firstOutOfOrder(cell.consumer.read().entries);
  cell.check(wrong === undefined, String(wrong));
  const keys = keysThroughQueue(cell.publisher.entries);
  cell.check(keys === 20, `only ${keys} keys had messages in the retry queue and new ones after them`);
}

/** Keys of which a message was queued, and a later one published while it was: it could have overtaken. */
function keysThroughQueue(entries: readonly Entry[]): number {
  const keyOf = new Map<string, string>();
  const queued = new Map<string, string>();
  const tested = new Set<string>();
  for (const entry of entries) {
    if (entry.e === 'attempt' && entry.key !== undefined) {
      keyOf.set(entry.id, entry.key);
      if ([...queued.values()].includes(entry.key)) tested.add(entry.key);
    }
    if (entry.e === 'receipt' && entry.outcome === 'queued') queued.set(entry.id, keyOf.get(entry.id) ?? '');
    if (entry.e === 'settled') queued.delete(entry.id);
  }
  return tested.size;
}
