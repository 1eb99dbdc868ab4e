import { waitFor } from '../../brokers/wait-for.js';
import type { Cell } from '../cell.js';
import type { FaultCase } from '../fault-case.js';
import { EXCHANGE, QUEUE, SIDE_QUEUE } from '../worker/settings.js';
import { type Entry, now } from '../journal.js';

const both = ['quorum', 'classic'] as const;
const LIMIT = 100_000;

/** Something on the broker goes away, or refuses. */
export const topologyFaults: readonly FaultCase[] = [
  {
    name: 'queue-deleted',
    title: 'The queue is deleted under its consumer',
    queueTypes: both,
    worker: { unroutable: 'queue', handlerMs: [400, 800] },
    load: false,
    async run(cell) {
      // What waits in a queue goes with it: nothing does, all is being handled.
      await cell.publisher.tell({ do: 'publish', publish: { count: 15 } });
      await waitFor(() => cell.consumer.handling === 15, 'all handlers to run');
      await cell.strike(() => cell.admin.delete(QUEUE));
      await cell.publisher.tell({ do: 'publish', publish: { count: 50 } });
      await cell.expect(cell.consumer, 'consumer-stopped');
      const [{ detail = '' }] = cell.consumer.events('consumer-stopped', cell.struckAt);
      cell.check(detail.includes('cancelled'), `the consumer stopped for another reason: ${detail}`);
      await cell.recovered();
      await cell.publisher.tell({ do: 'load', load: { rate: 30 } });
      await cell.underLoad();
    },
  },
  {
    name: 'basic-cancel',
    title: 'The broker cancels the consumers (basic.cancel)',
    queueTypes: both,
    async run(cell) {
      await cell.underLoad();
      const cancelled = await cell.strike(() => cell.gate.cancelConsumers());
      cell.check(cancelled > 0, 'no consumer was cancelled');
      await cell.expect(cell.consumer, 'consumer-stopped');
      await cell.recovered();
      await cell.underLoad();
    },
  },
  {
    name: 'bad-ack',
    title: 'A bad ack makes the broker close the channel (406)',
    queueTypes: both,
    async run(cell) {
      await cell.underLoad();
      const channels = await cell.strike(() => cell.consumer.tell<number>({ do: 'bad-ack' }));
      cell.check(channels > 0, 'no channel was hit');
      await cell.expect(cell.consumer, 'consumer-stopped');
      await cell.recovered();
      await cell.underLoad();
    },
  },
  {
    name: 'exchange-deleted',
    title: 'The exchange is deleted while all stay connected: publishers bring it back, consumers their bindings',
    // The bindings come back within 72 s: of each publish the publisher is told «queued» until then.
    load: { rate: 60, mixed: true },
    async run(cell) {
      await cell.underLoad();
      const { length: stopped } = cell.consumer.events('consumer-stopped');
      await cell.strike(() => cell.admin.with((channel) => channel.deleteExchange(EXCHANGE)));
      await cell.expect(cell.publisher, 'queued', 50);
      const before = cell.consumer.count('end');
      await waitFor(() => cell.consumer.count('end') > before + 50, 'the bindings', 90_000);
      await cell.recovered();
      await cell.underLoad();
      cell.check(cell.consumer.events('consumer-stopped').length === stopped, 'the consumer consumed anew');
      cell.check(cell.publisher.count('rejected') === 0, 'publishes were rejected');
    },
  },
  {
    name: 'one-queue-hung',
    title: 'One quorum queue answers nobody: what goes elsewhere is confirmed all the same',
    worker: { confirmTimeout: 1_000, side: true },
    load: { rate: 300, mixed: true, side: 0.3 },
    // The one that is first in the queue is the probe, again and again.
    copies: 8,
    async run(cell) {
      const { publisher, consumer, vhost, node } = cell;
      await cell.underLoad();
      await cell.strike(() => node.hangQueue(vhost, SIDE_QUEUE, true));
      await cell.expect(publisher, 'disconnected');
      await cell.recovered(publisher);
      const from = now();
      await cell.underLoad();
      // Four timeouts of the probes and the pauses between them.
      await waitFor(() => now() > from + 11_000_000, 'some timeouts', 20_000);
      const to = now();
      cell.check(publisher.events('disconnected', cell.struckAt).length === 1, 'all publishing stopped again');
      const wrong = publisher
        .read()
        .entries.filter((entry) => entry.e === 'receipt' && entry.t > from && entry.t < to)
        .filter((entry) => isSide(entry) !== (entry.e === 'receipt' && entry.outcome === 'queued'));
      cell.check(
        wrong.length === 0,
        `${wrong.length} publishes had the fate of the others: ${JSON.stringify(wrong[0])}`,
      );
      const waited = latencies(publisher.entries, from, to);
      cell.check(Math.max(...waited) < 900_000, `a publish elsewhere took ${Math.max(...waited)} µs`);
      await node.hangQueue(vhost, SIDE_QUEUE, false);
      await waitFor(async () => (await publisher.status()).queued === 0, 'the queue to be sent', 60_000);
      await cell.underLoad();
      cell.check(consumer.events('consumer-stopped', cell.struckAt).length === 0, 'the consumers stopped');
      // Timeouts of the probes: after 1 s, pauses of 1, 2, 4, 8 s.
      cell.extraDuplicates = 5;
    },
  },
  {
    name: 'one-too-large',
    title: 'Three publishes over the broker’s size limit among good ones',
    worker: { unroutable: 'reject' },
    async run(cell) {
      const limit = (bytes: string): Promise<string> =>
        cell.node.eval(
          `application:set_env(rabbit, max_message_size, ${bytes}), persistent_term:put(max_message_size, ${bytes})`,
        );
      const [, usual] =
        /{ok, (\d+)}}/.exec(await cell.node.eval('application:get_env(rabbit, max_message_size)')) ?? [];
      await limit(String(LIMIT));
      try {
        // It holds for channels that are opened from now on.
        cell.proxy.reset();
        await cell.recovered();
        await cell.underLoad();
        const publish = { count: 3, filler: 2 * LIMIT };
        const ids = await cell.strike(() => cell.publisher.tell<string[]>({ do: 'publish', publish }));
        // Those that were in flight with them.
        await cell.expect(cell.publisher, 'queued');
        await waitFor(() => ids.every((id) => refusalOf(cell, id) !== undefined), 'the refusals', 20_000);
        for (const id of ids) cell.check(refusalOf(cell, id) === 'MESSAGE_TOO_LARGE', `${id}: ${refusalOf(cell, id)}`);
        await cell.underLoad();
        const refused = cell.publisher.count('rejected');
        cell.check(refused <= ids.length, `${refused} publishes were rejected`);
      } finally {
        await limit(usual ?? '134217728');
      }
    },
  },
];

function refusalOf(cell: Cell, id: string): string | undefined {
  for (const entry of cell.publisher.read().entries) {
    if ((entry.e === 'rejected' || (entry.e === 'settled' && entry.outcome === 'rejected')) && entry.id === id)
      return entry.code;
  }
  return undefined;
}

function isSide(entry: Entry): boolean {
  return 'id' in entry && String(entry.id).includes('side');
}

/** How long the publishes that began in that time, and did not go to the hung queue, waited for their receipt. */
function latencies(entries: readonly Entry[], from: number, to: number): number[] {
  const begun = new Map<string, number>();
  const waited: number[] = [];
  for (const entry of entries) {
    if (isSide(entry)) continue;
    if (entry.e === 'attempt' && entry.t > from && entry.t < to) begun.set(entry.id, entry.t);
    const since = entry.e === 'receipt' ? begun.get(entry.id) : undefined;
    if (since !== undefined) waited.push(entry.t - since);
  }
  return waited;
}
