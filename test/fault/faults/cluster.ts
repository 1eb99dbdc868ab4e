import { waitFor } from '../../brokers/wait-for.js';
import type { FaultCase } from '../fault-case.js';
import type { Entry } from '../journal.js';
import { QUEUE } from '../worker/settings.js';

/** Three nodes; the client knows all their addresses. */
export const clusterFaults: readonly FaultCase[] = [
  {
    name: 'leader-killed',
    title: 'Cluster: the leader of the quorum queue gets SIGKILL under load',
    on: 'cluster',
    worker: { confirmTimeout: 2_000 },
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
    worker: { confirmTimeout: 2_000 },
    // Closing a channel does not take back what a queue without a leader has not stored yet: see below.
    copies: 20,
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
      // Each confirm timeout without a majority leaves one more copy, which is stored when the majority is back.
      const timeouts = [cell.publisher, cell.consumer].flatMap((worker) =>
        worker.events('disconnected', cell.struckAt),
      );
      const last = Math.max(cell.struckAt, ...timeouts.map(({ t }) => t));
      const sent = ({ e, t }: Entry): boolean => e === 'attempt' && t >= cell.struckAt && t <= last;
      const resent = cell.publisher.entries.filter(sent).length;
      cell.extraDuplicates = timeouts.length * (resent + cell.consumer.settings.prefetch);
      await cell.underLoad();
    },
  },
];
