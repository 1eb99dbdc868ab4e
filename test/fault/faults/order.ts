import { waitFor } from '../../brokers/wait-for.js';
import { firstConfirmedOutOfOrder, firstOutOfOrder } from '../checker.js';
import type { Entry } from '../journal.js';
import type { Cell } from '../cell.js';
import type { FaultCase } from '../fault-case.js';

const KEYS = 20;
const ordered = { awaited: { rate: 400, keys: KEYS }, unawaited: { rate: 400, keys: KEYS, ordered: 5, side: 0.5 } };

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
    title: 'So do publishes that nobody awaits, with «ordered: true», also while one of two queues is full',
    queueTypes: ['quorum', 'classic'],
    worker: { handlerMs: [5, 25], side: true, arguments: { 'x-max-length': 40, 'x-overflow': 'reject-publish' } },
    load: ordered.unawaited,
    async run(cell) {
      await oneQueueFull(cell);
      await inOrder(cell);
    },
  },
];

/** What the full queue refuses holds back what the other one would take: it comes later in its key. */
async function oneQueueFull(cell: Cell): Promise<void> {
  await busy(cell);
  await cell.strike(() => cell.consumer.tell({ do: 'hold', on: true }));
  await cell.expect(cell.publisher, 'queued', 150);
  const [{ detail = '' }] = cell.publisher.events('queued', cell.struckAt);
  cell.check(detail.includes('nack'), `queued for another reason: ${detail}`);
  judgeConfirms(cell);
  await cell.consumer.tell({ do: 'hold', on: false });
}

function judgeConfirms(cell: Cell): void {
  const wrong = firstConfirmedOutOfOrder(cell.publisher.read().entries);
  cell.check(wrong === undefined, String(wrong));
}

async function busy(cell: Cell): Promise<void> {
  const before = cell.consumer.count('end');
  await waitFor(() => cell.consumer.count('end') > before + 100, 'a steady load', 20_000);
}

async function inOrder(cell: Cell): Promise<void> {
  for (let outage = 0; outage < 3; outage++) {
    await busy(cell);
    await cell.proxy.refuse(true);
    await cell.strike(() => cell.proxy.reset());
    await cell.expect(cell.publisher, 'queued', 150);
    await cell.proxy.refuse(false);
    // The next outage may begin while the queue of this one is still being sent.
    await cell.expect(cell.publisher, 'connected');
  }
  await cell.recovered();
  await busy(cell);
  await cell.publisher.tell({ do: 'stop-load' });
  await waitFor(async () => (await cell.publisher.status()).unsettled === 0, 'the retry queue to drain', 40_000);
  const { entries } = cell.consumer.read();
  const isAside = (entry: Entry): boolean => 'id' in entry && entry.id?.includes('-side-') === true;
  judgeConfirms(cell);
  for (const wrong of [
    // Each queue keeps its order, but not with the other.
    firstOutOfOrder(entries.filter(isAside)),
    firstOutOfOrder(entries.filter((entry) => !isAside(entry))),
  ])
    cell.check(wrong === undefined, String(wrong));
  const keys = keysThroughQueue(cell.publisher.entries);
  cell.check(keys === KEYS, `only ${keys} keys had messages in the retry queue and new ones after them`);
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
