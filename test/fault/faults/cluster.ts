import { waitFor } from '../../brokers/wait-for.js';
import type { FaultCase } from '../fault-case.js';
import { inFlight } from '../checker.js';
import { now } from '../journal.js';
import { QUEUE } from '../worker/settings.js';

const CONFIRM_TIMEOUT = 2_000;

/** Three nodes; the client knows all their addresses. */
export const clusterFaults: readonly FaultCase[] = [
  {
    name: 'leader-killed',
    title: 'Cluster: the leader of the quorum queue gets SIGKILL under load',
    on: 'cluster',
    worker: { confirmTimeout: CONFIRM_TIMEOUT },
    async run(cell) {
      const { cluster, vhost } = cell;
      await cell.underLoad();
      await waitFor(() => cluster.isReplicated(vhost), 'all queues to have three copies', 20_000);
      const leader = await cluster.leaderOf(vhost, QUEUE);
      await cell.strike(() => leader.kill());
      const led = async (): Promise<boolean> => {
        const next = await cluster.leaderOf(vhost, QUEUE).catch(() => leader);
        return next !== leader;
      };
      await waitFor(led, 'another leader', 30_000);
      await cell.recovered();
      await cell.underLoad();
      leader.spawn();
      await leader.ready();
      await waitFor(() => cluster.isComplete(), 'the node to join again', 60_000);
      await cell.underLoad();
    },
  },
  {
    name: 'majority-lost',
    title: 'Cluster: two of three nodes get SIGKILL, then come back',
    on: 'cluster',
    worker: { confirmTimeout: CONFIRM_TIMEOUT },
    // Closing a channel does not take back what a queue without a leader has not stored yet: see below.
    copies: 8,
    async run(cell) {
      const { cluster, vhost } = cell;
      await cell.underLoad();
      await waitFor(() => cluster.isReplicated(vhost), 'all queues to have three copies', 20_000);
      const leader = await cluster.leaderOf(vhost, QUEUE);
      const other = cluster.members.find((member) => member !== leader)!;
      await cell.strike(async () => {
        await Promise.all([leader.kill(), other.kill()]);
      });
      await cell.expect(cell.publisher, 'queued', 300, 60_000);
      for (const member of [leader, other]) member.spawn();
      for (const member of [leader, other]) await member.ready();
      await waitFor(() => cluster.isComplete(), 'the nodes to join again', 60_000);
      await cell.recovered();
      // What was in flight at the first confirm timeout is stored when the majority is back, and so is each probe.
      const back = now();
      for (const worker of [cell.publisher, cell.consumer]) {
        const [timeout] = worker
          .events('disconnected', cell.struckAt)
          .filter(({ detail }) => /confirm/.test(detail ?? ''));
        if (timeout) cell.extraDuplicates += inFlight([worker], timeout.t, timeout.t).publishes;
      }
      // RabbitMQ 3.10 may nack what it stores then: each channel that was given up for its nacks had sent what was queued.
      const queued = cell.publisher.events('queued', cell.struckAt);
      for (const { t, detail } of cell.publisher.events('disconnected', cell.struckAt))
        if (/takes nothing/.test(detail ?? '')) cell.extraDuplicates += queued.filter((one) => one.t <= t).length;
      // To the work queue, to a delay level, to the dead letters.
      cell.extraDuplicates += 3 * probes(back - cell.struckAt) + cell.consumer.settings.prefetch;
      await cell.underLoad();
    },
  },
];

/** How many probes a destination gets that does not answer: a timeout each, and pauses of 1, 2, 4, … s. */
function probes(micros: number): number {
  let count = 0;
  for (let left = micros / 1_000; left > 0; left -= CONFIRM_TIMEOUT + 1_000 * 2 ** count++);
  return count;
}
