import { waitFor } from '../../brokers/wait-for.js';
import type { Cell } from '../cell.js';
import { account, firstOutOfOrder, inFlight, problemsOf, type Trail } from '../checker.js';
import type { Member } from '../cluster.js';
import type { FaultCase } from '../fault-case.js';
import { type Entry, now } from '../journal.js';
import { type Blow, inTime, overlaps } from '../partitions/order.js';
import { PartitionsProcess } from '../partitions/processes.js';
import { DEAD_LETTERS, PARTITIONED_QUEUE, PARTITIONS, PREFETCH } from '../partitions/settings.js';

const KEYS = 30;
/** What is handled in each process before the next blow. */
const BETWEEN = 60;
/** Of the publisher retry queue, in microseconds. */
const RETRY_INTERVAL = 200_000;
/** On their way to partitions at a time. */
const MOVING = 100;

/** Two processes share the partitions of a queue, while nodes of the cluster are killed one after the other. */
export const partitionFaults: readonly FaultCase[] = [
  {
    name: 'partitions-node-killed',
    title:
      'Cluster: the leader of partitions, then the node of their consumer, gets SIGKILL under load; each key keeps its order',
    on: 'cluster',
    worker: { confirmTimeout: 2_000 },
    load: { rate: 200, keys: KEYS },
    // The plain consumer gets what `resends` says; it is not what this is about.
    copies: 200,
    async run(cell) {
      const processes = await Promise.all(['one', 'two'].map((name) => PartitionsProcess.start(cell, name)));
      try {
        await underNodeDeaths(cell, processes, now());
      } finally {
        for (const process of processes) await process.end('SIGKILL');
      }
    },
  },
];

async function underNodeDeaths(cell: Cell, processes: readonly PartitionsProcess[], begun: number): Promise<void> {
  const { cluster, vhost, publisher } = cell;
  const busy = async (): Promise<void> => {
    const before = processes.map((process) => process.count('end'));
    const both = (): boolean => processes.every((process, at) => process.count('end') >= before[at] + BETWEEN);
    await waitFor(both, 'both processes to handle messages of their partitions', 90_000);
  };
  const blows: Blow[] = [];
  let duplicates = 0;
  const kill = async (member: Member): Promise<void> => {
    await waitFor(() => cluster.isReplicated(vhost), 'all queues to have three copies', 60_000);
    for (const process of processes) process.read();
    const from = now();
    const under = inFlight(processes, from, from).deliveries;
    cell.check(under > 0, 'no handler of a partition ran when the node was killed');
    await cell.strike(() => member.kill());
    const blow = { from, to: now() };
    blows.push(blow);
    await busy();
    // Until its publisher notices, the blow goes on.
    const noticed = Math.max(blow.to, publisher.events('disconnected', from)[0]?.t ?? 0);
    duplicates += inFlight([publisher], from, noticed).publishes + PARTITIONS * PREFETCH + MOVING;
    member.spawn();
    await member.ready();
    await waitFor(() => cluster.isComplete(), 'the node to join again', 90_000);
    await busy();
  };

  await busy();
  await kill(await cluster.leaderOf(vhost, `${PARTITIONED_QUEUE}.0`));
  const { host } = processes[0];
  const home = cluster.members.find(({ port }) => host?.includes(`:${port}/`));
  if (!home) throw new Error(`No node is at ${host}`);
  await kill(home);

  await publisher.tell({ do: 'stop-load' });
  await waitFor(async () => (await publisher.status()).unsettled === 0, 'all publishes to be settled', 60_000);
  const settled = async (): Promise<ReturnType<typeof account>> => {
    for (const trail of [publisher, ...processes]) trail.read();
    const trails = since(begun, publisher, [publisher, ...processes]);
    return account({ trails, deadLetters: (await deadLetters(cell)).map(({ id }) => id) });
  };
  // What is missing then is lost: the account says so.
  await waitFor(async () => (await settled()).lost.length === 0, 'all messages', 60_000).catch(() => undefined);
  for (const process of processes) await process.end('SIGTERM');
  const again = resends(publisher.entries);
  cell.extraDuplicates += again.all;
  const allowed = { duplicates: duplicates + again.all, copies: 1 + 2 * blows.length + again.most };
  cell.problems.push(...problemsOf(await settled(), allowed));
  for (const { id, reason } of await deadLetters(cell)) cell.check(false, `${id} was dead-lettered: ${reason}`);
  const wrong = firstOutOfOrder(inTime(processes));
  cell.check(wrong === undefined, String(wrong));
  cell.problems.push(...overlaps(processes, blows).slice(0, 5));
}

/** Without what was published earlier, when the queue was not there yet. */
function since(begun: number, publisher: Trail, trails: readonly Trail[]): Trail[] {
  const before = new Set(
    publisher.entries.flatMap((entry) => (entry.e === 'attempt' && entry.t < begun ? [entry.id] : [])),
  );
  const counts = (entry: Entry): boolean => !('id' in entry) || entry.id === undefined || !before.has(entry.id);
  return trails.map(({ entries }) => ({ entries: entries.filter(counts) }));
}

/**
 * How often messages can have been sent again out of the publisher retry queue, at most. While one of the two queues that
 * their route leads to has no leader RabbitMQ refuses them, though the other has stored them: each time is a copy in that.
 */
function resends(entries: readonly Entry[]): { all: number; most: number } {
  const queued = new Map<string, number>();
  let all = 0;
  let most = 0;
  for (const entry of entries) {
    if (entry.e === 'receipt' && entry.outcome === 'queued') queued.set(entry.id, entry.t);
    const since = entry.e === 'settled' ? queued.get(entry.id) : undefined;
    if (since === undefined) continue;
    const times = Math.ceil((entry.t - since) / RETRY_INTERVAL);
    all += times;
    most = Math.max(most, times);
  }
  return { all, most };
}

/** No handler fails for good and no process dies, so there must be none. They stay. */
async function deadLetters({ admin }: Cell): Promise<{ id: string; reason: string }[]> {
  return admin.with(async (channel) => {
    const found: { id: string; reason: string }[] = [];
    for (let letter = await channel.get(DEAD_LETTERS); letter; letter = await channel.get(DEAD_LETTERS)) {
      const { messageId, headers } = letter.properties;
      found.push({ id: String(messageId), reason: String(headers?.['messaging-reason']) });
    }
    return found;
  });
}
