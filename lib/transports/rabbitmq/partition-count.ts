import type { ChannelModel } from 'amqplib';
import { TopologyMismatchError } from '../../errors/configuration-errors.js';
import { partitionQueue, type Topology } from '../../transport/topology.js';
import type { Bound } from './bound.js';
import { queueDepth } from './browser.js';

/**
 * Refuses another number of partitions than the queue has: keys would go to other partitions, and overtake what waits in
 * the old ones. The names tell it, whether queues are made or only checked.
 * @throws TopologyMismatchError
 */
export async function checkPartitionCount(model: ChannelModel, bound: Bound, topology: Topology): Promise<void> {
  const { queue, partitions } = topology;
  if (partitions === undefined) return;
  const exists = async (partition: number): Promise<boolean> =>
    (await queueDepth(model, bound, partitionQueue(queue, partition))) !== undefined;
  if (await exists(partitions)) throw mismatch(topology, `«${partitionQueue(queue, partitions)}» exists`);
  if ((await exists(0)) && !(await exists(partitions - 1)))
    throw mismatch(topology, `«${partitionQueue(queue, partitions - 1)}» does not exist`);
}

function mismatch({ queue, partitions }: Topology, found: string): TopologyMismatchError {
  return new TopologyMismatchError(
    `The queue «${queue}» has another number of partitions than ${partitions}: ${found}. Give «rabbitmq.partitions» the number that it has. To change it, let all processes run with the old number and «rabbitmq.distribute: false» until the queues «${partitionQueue(queue, 0)}» and on are empty, stop them, delete those queues, and start with the new number; what is published meanwhile waits in «${queue}»`,
  );
}
