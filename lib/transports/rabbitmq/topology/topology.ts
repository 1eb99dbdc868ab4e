import { InvalidOptionError } from '../../../errors/configuration-errors.js';
import { partitionQueue, type Topology } from '../../../transport/topology.js';
import type { Names } from '../names.js';
import { exchangeOperation } from './exchanges.js';
import type { Operation } from './operations.js';
import {
  checkSubscriptionOptions,
  type QueueType,
  type RabbitmqSubscriptionOptions,
  type Settings,
} from '../options.js';

/** What one subscription needs on the broker, in an order in which nothing refers to what is not there yet. */
export function topologyOperations(topology: Topology, names: Names, settings: Settings): Operation[] {
  const { queue, patterns, deadLetter, exclusive } = topology;
  const exchange = topology.topic ?? names.exchange;
  const native = checkSubscriptionOptions(topology.native);
  if (topology.adopt) refuseDescribed(native);
  const type = native.queueType ?? settings.queueType;
  const operations: Operation[] = [];
  if (patterns.length > 0) {
    const exchangeType = (topology.topic !== undefined && native.exchangeType) || 'topic';
    operations.push(exchangeOperation(settings.exchanges, exchange, exchangeType));
  }
  const { bindings = [] } = native;
  for (const name of new Set(bindings.map(({ exchange: from }) => from)))
    if (settings.exchanges.has(name)) operations.push(exchangeOperation(settings.exchanges, name, 'topic'));
    else if (name !== exchange || patterns.length === 0)
      operations.push({ kind: 'exchange', name, type: 'topic', adopted: true });
  if (deadLetter) {
    operations.push(
      { kind: 'exchange', name: names.deadLetters, type: 'direct' },
      {
        kind: 'queue',
        name: deadLetter.queue,
        arguments: { ...queueArguments(type, settings.deliveryLimit), ...native.deadLetterArguments },
      },
      { kind: 'binding', queue: deadLetter.queue, exchange: names.deadLetters, key: deadLetter.route },
    );
  }
  if (topology.membersOf !== undefined) return [membersOperation(queue, settings.deliveryLimit)];
  const workType = queueTypeOf(topology, settings);
  const work: Record<string, unknown> = {
    ...queueArguments(workType, settings.deliveryLimit),
    ...(deadLetter && deadLetterArguments(workType, names.deadLetters, deadLetter.route)),
    ...(hasSingleActiveConsumer(topology) && { 'x-single-active-consumer': true }),
    ...(exclusive && { 'x-expires': exclusive.expiresMs }),
    ...native.arguments,
  };
  if (topology.partitions !== undefined) {
    // The first comes last: where it is, all are.
    for (let partition = topology.partitions - 1; partition >= 0; partition--)
      operations.push({ kind: 'queue', name: partitionQueue(queue, partition), arguments: work });
  }
  const { durable, autoDelete } = native;
  const declared = {
    arguments: work,
    ...(durable !== undefined && { durable }),
    ...(autoDelete !== undefined && { autoDelete }),
  };
  operations.push({ kind: 'queue', name: queue, ...(topology.adopt ? { arguments: {}, adopted: true } : declared) });
  for (const pattern of patterns) operations.push({ kind: 'binding', queue, exchange, key: pattern });
  for (const binding of bindings) operations.push({ kind: 'binding', queue, ...binding });
  return operations;
}

/** Of a queue that is used as it is. @throws InvalidOptionError */
function refuseDescribed(native: RabbitmqSubscriptionOptions): void {
  for (const name of ['arguments', 'durable', 'autoDelete', 'singleActiveConsumer'] as const)
    if (native[name] !== undefined)
      throw new InvalidOptionError(
        `rabbitmq.${name}`,
        native[name],
        'left out beside «adopt», for the queue is as it is',
      );
}

/** Its consumers stand by but for one, as far as we declare it. */
export function hasSingleActiveConsumer({ partitions, partitionOf, native }: Topology): boolean {
  return (
    partitions !== undefined ||
    partitionOf !== undefined ||
    checkSubscriptionOptions(native).singleActiveConsumer === true
  );
}

/** What is asked for there is of no use a moment later. */
function membersOperation(name: string, deliveryLimit: number): Operation {
  return { kind: 'queue', name, arguments: { ...queueArguments('quorum', deliveryLimit), 'x-max-length': 100 } };
}

/** The queue type that a subscription's queue has, as far as we declare it. */
export function queueTypeOf(topology: Topology, settings: Settings): QueueType {
  const { arguments: others, queueType = settings.queueType } = checkSubscriptionOptions(topology.native);
  return (others?.['x-queue-type'] as QueueType | undefined) ?? queueType;
}

/** Never depends on the broker's version: after an upgrade the same arguments must still be found. */
export function queueArguments(type: QueueType, deliveryLimit: number): Record<string, unknown> {
  return type === 'quorum'
    ? { 'x-queue-type': 'quorum', 'x-delivery-limit': deliveryLimit }
    : { 'x-queue-type': 'classic' };
}

/** Quorum queues keep what they dead-letter until the dead-letter queue has confirmed it; classic queues cannot. */
function deadLetterArguments(type: QueueType, exchange: string, route: string): Record<string, unknown> {
  const target = { 'x-dead-letter-exchange': exchange, 'x-dead-letter-routing-key': route };
  return type === 'quorum'
    ? { ...target, 'x-dead-letter-strategy': 'at-least-once', 'x-overflow': 'reject-publish' }
    : target;
}
