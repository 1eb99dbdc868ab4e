import { waitFor } from '../../brokers/wait-for.js';
import type { Cell } from '../cell.js';
import type { FaultCase } from '../fault-case.js';
import { EXCHANGE, QUEUE } from '../worker/settings.js';

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
    title: 'The exchange is deleted meanwhile; later somebody binds the queue again',
    worker: { unroutable: 'queue' },
    async run(cell) {
      await cell.underLoad();
      await cell.strike(() => cell.admin.with((channel) => channel.deleteExchange(EXCHANGE)));
      await cell.expect(cell.publisher, 'queued', 50);
      cell.gate.reset();
      await cell.recovered();
      await cell.underLoad();
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
        await cell.expect(cell.publisher, 'disconnected');
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
