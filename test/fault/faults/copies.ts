import { waitFor } from '../../brokers/wait-for.js';
import type { Cell } from '../cell.js';
import type { FaultCase } from '../fault-case.js';
import { DEAD_LETTER_QUEUE, DUE_QUEUE, EXCHANGE, QUEUE } from '../worker/settings.js';

/** A copy (retry, delay, dead letter) must go where it cannot. */
export const copyFaults: readonly FaultCase[] = [
  {
    name: 'dlq-deleted',
    title: 'The dead-letter queue is deleted while messages must go there',
    load: { rate: 200 },
    async run(cell) {
      await cell.underLoad();
      await cell.strike(() => cell.admin.delete(DEAD_LETTER_QUEUE));
      await deadLetters(cell, 15);
    },
  },
  {
    name: 'dlq-refuses',
    title: 'The dead-letter queue refuses (full) while messages must go there',
    load: { rate: 200 },
    async run(cell) {
      await cell.underLoad();
      const vhost = `<<"${cell.vhost}">>`;
      await cell.strike(() =>
        cell.node.eval(
          `rabbit_policy:set(${vhost}, <<"full">>, <<":dlq$">>,
            [{<<"max-length">>, 1}, {<<"overflow">>, <<"reject-publish">>}], 0, <<"queues">>, <<"test">>)`,
        ),
      );
      await deadLetters(cell, 15, () => cell.node.eval(`rabbit_policy:delete(${vhost}, <<"full">>, <<"test">>)`));
    },
  },
  {
    name: 'delay-level-deleted',
    title: 'A delay queue is deleted while retries must go there',
    // 128 ms and more: the deleted level is the first on the way.
    worker: { retryMs: 200 },
    load: { rate: 200 },
    async run(cell) {
      await cell.underLoad();
      await retried(cell, 5);
      const ids = await cell.publisher.tell<string[]>({ do: 'publish', publish: { count: 20, does: 'flaky' } });
      await cell.strike(() => cell.admin.delete(`${EXCHANGE}.delay.7`));
      await retried(cell, 20);
      cell.extraDuplicates = ids.length;
      await cell.underLoad();
    },
  },
  {
    name: 'queue-absent-when-due',
    title: 'The work queue is absent while delayed copies fall due',
    worker: { retryMs: 2_500, handlerMs: [0, 5] },
    load: false,
    async run(cell) {
      const count = 30;
      await cell.publisher.tell({ do: 'publish', publish: { count, does: 'flaky' } });
      await waitFor(() => cell.consumer.count('fail') > count, 'all calls to fail');
      await cell.consumer.close();
      await cell.strike(() => cell.admin.delete(QUEUE), count);
      await waitFor(async () => (await cell.admin.depth(DUE_QUEUE)) === count, 'all copies to be due', 20_000);
      cell.consumer = await cell.startConsumer();
      await waitFor(() => cell.consumer.count('end') >= count, 'the copies', 20_000);
      const attempts = cell.consumer.entries.filter((entry) => entry.e === 'start' && entry.attempt !== 2);
      cell.check(attempts.length === 0, `${attempts.length} copies had another attempt than the second`);
    },
  },
  {
    name: 'killed-with-delays',
    title: 'The broker gets SIGKILL with thousands of messages in the delay levels',
    worker: { handlerMs: [0, 2], prefetch: 200 },
    load: false,
    async run(cell) {
      const { many: count } = cell.place;
      const least = 3_000 + count;
      await cell.publisher.tell({ do: 'publish', publish: { count, delay: [least, least + 2_000] } });
      await waitFor(() => cell.publisher.count('receipt') > count, 'all confirms', 60_000);
      cell.check(cell.consumer.count('start') < count / 2, 'most messages were due before the broker was killed');
      await cell.strike(() => cell.node.kill(), count);
      await cell.expect(cell.consumer, 'consumer-stopped');
      await cell.node.restart();
      await cell.recovered();
      await waitFor(() => cell.consumer.count('end') > count, 'all delayed messages', 120_000);
    },
  },
];

/** Sends messages to the dead letters, waits until that has failed, heals, and waits until it has not. */
async function deadLetters(cell: Cell, count: number, heal?: () => Promise<unknown>): Promise<void> {
  const before = cell.consumer.count('event:dead-lettered');
  await cell.publisher.tell({ do: 'publish', publish: { count, does: 'dead' } });
  await cell.expect(cell.consumer, 'store-error');
  await heal?.();
  await waitFor(() => cell.consumer.count('event:dead-lettered') >= before + count, 'the dead letters', 30_000);
}

async function retried(cell: Cell, count: number): Promise<void> {
  const ids = await cell.publisher.tell<string[]>({ do: 'publish', publish: { count, does: 'flaky' } });
  const handled = (): boolean => {
    const ends = new Set(cell.consumer.read().entries.flatMap((entry) => (entry.e === 'end' ? [entry.id] : [])));
    return ids.every((id) => ends.has(id));
  };
  await waitFor(handled, 'the second calls', 30_000);
}
