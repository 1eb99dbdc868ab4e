import { waitFor } from '../../brokers/wait-for.js';
import type { Cell } from '../cell.js';
import { now } from '../journal.js';
import type { FaultCase } from '../fault-case.js';

const CONFIRM_TIMEOUT = 700;

/** The broker dies, or takes nothing. */
export const brokerFaults: readonly FaultCase[] = [
  {
    name: 'broker-killed',
    title: 'The broker gets SIGKILL and restarts on its data',
    queueTypes: ['quorum', 'classic'],
    alsoConsumedBy: ['batch', 'receive', 'partitions'],
    short: ['plain'],
    async run(cell) {
      await cell.underLoad();
      await cell.strike(() => cell.node.kill());
      await cell.expect(cell.publisher, 'disconnected');
      await cell.expect(cell.publisher, 'queued', 20);
      await cell.expect(cell.consumer, 'consumer-stopped');
      await cell.node.restart();
      await cell.recovered();
      await cell.underLoad();
    },
  },
  {
    name: 'memory-alarm',
    title: 'Memory alarm for longer than the confirm timeout: nothing is sent twice',
    worker: { confirmTimeout: CONFIRM_TIMEOUT },
    copies: 1,
    run: (cell) => alarm(cell, (on) => cell.node.memoryAlarm(on)),
  },
  {
    name: 'disk-alarm',
    title: 'Disk alarm for longer than the confirm timeout: nothing is sent twice',
    worker: { confirmTimeout: CONFIRM_TIMEOUT },
    copies: 1,
    run: (cell) => alarm(cell, (on) => cell.node.diskAlarm(on)),
  },
  {
    name: 'queue-full',
    title: 'The queue is full and rejects (x-max-length, reject-publish)',
    queueTypes: ['quorum', 'classic'],
    worker: { arguments: { 'x-max-length': 40, 'x-overflow': 'reject-publish' } },
    // A copy for a retry is refused as well: then the original is given back.
    copies: 2,
    async run(cell) {
      await cell.underLoad();
      await cell.strike(() => cell.consumer.tell({ do: 'hold', on: true }));
      await cell.expect(cell.publisher, 'queued', 100);
      const [{ detail = '' }] = cell.publisher.events('queued', cell.struckAt);
      cell.check(detail.includes('nack'), `queued for another reason: ${detail}`);
      await cell.consumer.tell({ do: 'hold', on: false });
      await cell.underLoad();
    },
  },
];

async function alarm(cell: Cell, set: (on: boolean) => Promise<void>): Promise<void> {
  await cell.underLoad();
  await cell.strike(() => set(true));
  try {
    await cell.expect(cell.publisher, 'blocked');
    await cell.expect(cell.publisher, 'queued', 50);
    // The confirm timeout must pass while the broker blocks.
    const until = now() + 2.5 * CONFIRM_TIMEOUT * 1_000;
    await waitFor(() => now() > until, 'the confirm timeout');
  } finally {
    await set(false);
  }
  await cell.expect(cell.publisher, 'unblocked');
  cell.check(cell.publisher.events('disconnected').length === 0, 'the publisher disconnected');
  await cell.recovered();
  await cell.underLoad();
}
