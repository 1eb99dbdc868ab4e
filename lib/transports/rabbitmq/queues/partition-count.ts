import type { ChannelModel } from 'amqplib';
import { TopologyMismatchError } from '../../../errors/configuration-errors.js';
import { membersQueue, partitionQueue, type Topology } from '../../../transport/topology.js';
import type { AnswerTimeout } from '../../../clock/answered.js';
import { queueDepth } from './browser.js';
import { consumerCounts } from './consumer-counts.js';
import { checkSubscriptionOptions } from '../options.js';

/**
 * A queue that keeps order keeps its way of doing so: as one, or split by key into so many partitions.
 * @throws TopologyMismatchError
 */
export function checkPartitions(model: ChannelModel, bound: AnswerTimeout, topology: Topology): Promise<void> {
  const { partitions } = topology;
  return partitions === undefined
    ? checkUndivided(model, bound, topology)
    : checkPartitionCount(model, bound, topology, partitions);
}

/** With partitions, or as one with the same arguments: the broker cannot tell one from the other. */
export function keepsOrder({ native, partitions, partitionOf, membersOf }: Topology): boolean {
  if (partitions !== undefined) return true;
  if (partitionOf !== undefined || membersOf !== undefined) return false;
  const options = checkSubscriptionOptions(native);
  return options.singleActiveConsumer ?? options.arguments?.['x-single-active-consumer'] === true;
}

/** Refuses to leave what waits in partitions to nobody. @throws TopologyMismatchError */
async function checkUndivided(model: ChannelModel, bound: AnswerTimeout, { queue }: Topology): Promise<void> {
  for (const name of [partitionQueue(queue, 0), membersQueue(queue)])
    if ((await queueDepth(model, bound, name)) === undefined) return;
  throw new TopologyMismatchError(
    `The queue «${queue}» is split into partitions: «${partitionQueue(queue, 0)}» exists, and what waits in it would be handled by nobody. Give the subscription the «rabbitmq.partitions» that it had, or let all processes run with them and «rabbitmq.distribute: false» until «${partitionQueue(queue, 0)}» and on are empty, stop them, and delete those queues`,
  );
}

/**
 * Refuses another number of partitions than the queue has: keys would go to other partitions, and overtake what waits in
 * the old ones. The names tell it, whether queues are made or only checked. And refuses to begin beside a consumer of the
 * whole queue: that would take messages past the partitions.
 * @throws TopologyMismatchError
 */
async function checkPartitionCount(
  model: ChannelModel,
  bound: AnswerTimeout,
  topology: Topology,
  partitions: number,
): Promise<void> {
  const { queue } = topology;
  const exists = async (partition: number): Promise<boolean> =>
    (await queueDepth(model, bound, partitionQueue(queue, partition))) !== undefined;
  if (await exists(partitions)) throw mismatch(topology, `«${partitionQueue(queue, partitions)}» exists`);
  if (await exists(0)) {
    if (await exists(partitions - 1)) return;
    throw mismatch(topology, `«${partitionQueue(queue, partitions - 1)}» does not exist`);
  }
  const [consumers = 0] = await consumerCounts(model, bound, [queue]);
  // Another process may have begun with partitions in between.
  if (consumers > 0 && !(await exists(0)))
    throw new TopologyMismatchError(
      `The queue «${queue}» has no partitions yet, and a process consumes it as a whole: it would take messages past them. Stop all processes that run without «rabbitmq.partitions», then start those with them`,
    );
}

function mismatch({ queue, partitions }: Topology, found: string): TopologyMismatchError {
  return new TopologyMismatchError(
    `The queue «${queue}» has another number of partitions than ${partitions}: ${found}. Give «rabbitmq.partitions» the number that it has. To change it, let all processes run with the old number and «rabbitmq.distribute: false» until the queues «${partitionQueue(queue, 0)}» and on are empty, stop them, delete those queues, and start with the new number; what is published meanwhile waits in «${queue}»`,
  );
}
