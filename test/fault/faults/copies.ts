import { waitFor } from '../../brokers/wait-for.js';
import type { Cell } from '../cell.js';
import type { FaultCase } from '../fault-case.js';
import { now } from '../journal.js';
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
      // It is empty: what is in a deleted queue is gone.
      await cell.strike(() => cell.admin.delete(`${EXCHANGE}.delay.7`));
      await retried(cell, 20);
      cell.extraDuplicates = 20;
      await cell.underLoad();
    },
  },
  {
    name: 'middle-level-deleted',
    title: 'A delay level in the middle of the way is deleted, with copies in it and others on the way to it',
    load: false,
    // What the first level could not hand on is offered again when the second one is back.
    stillForMs: 60_000,
    async run(cell) {
      // 8,192 + 4,096 ms: levels 13 and 12.
      const delay = [12_288, 12_288] as const;
      const [first, second] = [`${EXCHANGE}.delay.13`, `${EXCHANGE}.delay.12`];
      // Until the levels are there: what waits for them has less to go.
      await cell.publisher.tell({ do: 'publish', publish: { count: 1, delay } });
      await waitFor(() => cell.publisher.count('receipt') === 2, 'the levels');
      const inside = await cell.publisher.tell<string[]>({ do: 'publish', publish: { count: 30, delay } });
      await waitFor(async () => (await cell.admin.depth(second)) === 30, 'copies in the second level', 20_000);
      await cell.publisher.tell({ do: 'publish', publish: { count: 30, delay } });
      await waitFor(async () => (await cell.admin.depth(first)) === 30, 'copies in the first level');
      const deleted = await cell.strike(() => cell.admin.deleteWithMessages(second), 60);
      cell.check(deleted.length === 30, `${deleted.length} copies were in the deleted level`);
      cell.check(
        inside.every((id) => deleted.includes(id)),
        'others were deleted than those that were in the level',
      );
      for (const id of deleted) cell.deleted.add(id);
      await waitFor(() => cell.consumer.count('end') >= 32, 'those that were on the way', 120_000);
    },
  },
  {
    name: 'exit-exchange-deleted',
    title: 'The exit exchange of a delay level is deleted while copies are in the level',
    load: false,
    async run(cell) {
      await cell.publisher.tell({ do: 'publish', publish: { count: 30, delay: [4_000, 4_096] } });
      await waitFor(() => cell.publisher.count('receipt') > 30, 'all confirms');
      await cell.strike(() => cell.admin.with((channel) => channel.deleteExchange(`${EXCHANGE}.delay.11`)), 30);
      await cell.strike(() => cell.admin.with((channel) => channel.deleteExchange(`${EXCHANGE}.delay.12`)), 30);
      await waitFor(() => cell.consumer.count('end') > 30, 'all delayed messages', 120_000);
    },
  },
  {
    name: 'refused-when-due',
    title: 'A full queue refuses retries when due, with RabbitMQ’s own three minutes until they are offered again',
    worker: { arguments: { 'x-max-length': 40, 'x-overflow': 'reject-publish' }, retryMs: 3_000, handlerMs: [0, 5] },
    load: false,
    offeredAgainMs: 180_000,
    copies: 2,
    async run(cell) {
      const { publisher, consumer } = cell;
      const ids = await publisher.tell<string[]>({ do: 'publish', publish: { count: 30, does: 'flaky' } });
      await waitFor(() => consumer.count('fail') > 30, 'all calls to fail');
      const due = now() + 3_000_000;
      await consumer.tell({ do: 'hold', on: true });
      await publisher.tell({ do: 'load', load: { rate: 200 } });
      // Some are being handled, the queue is full, and the rest waits in the publisher.
      await cell.strike(() => waitFor(async () => (await publisher.status()).queued >= 30, 'a full queue'), 30);
      await publisher.tell({ do: 'stop-load' });
      await waitFor(() => now() > due + 2_000_000, 'the retries to be due');
      await consumer.tell({ do: 'hold', on: false });
      const healed = now();
      await waitFor(async () => (await publisher.status()).unsettled === 0, 'the rest to be sent', 30_000);
      const arrivals = (): Map<string, number> =>
        new Map(
          consumer
            .read()
            .entries.flatMap((entry) =>
              entry.e === 'start' && entry.attempt === 2 && ids.includes(entry.id)
                ? [[entry.id, entry.t] as const]
                : [],
            ),
        );
      await waitFor(() => arrivals().size >= 30, 'the retries', 420_000).catch((error: Error) => {
        throw new Error(`${error.message}: ${arrivals().size} of 30 came`);
      });
      const late = [...arrivals().values()].filter((t) => t > healed + 20_000_000);
      cell.check(late.length > 0, 'no retry was refused when due');
      const waits = late.map((t) => Math.round((t - due) / 1e6)).sort((a, b) => a - b);
      console.log(`  ${late.length} of 30 retries came late, after ${[...new Set(waits)].join(', ')} s`);
      // It looks every three minutes, and what is a moment younger waits for the next look.
      cell.check(
        waits.every((wait) => wait < 380),
        'a retry took longer than two rounds',
      );
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
