import { TopologyMismatchError } from '../errors/configuration-errors.js';
import { didYouMean } from '../errors/did-you-mean.js';
import type { QueueList, QueueScope } from '../transport/queue-list.js';
import type { Transport } from '../transport/transport.js';
import { type Flag, type FlagValues, textOf, UsageError } from './flags.js';

/** Which queues are shown. */
export const SCOPE: readonly Flag[] = [
  {
    name: 'service',
    value: 'name',
    what: 'those of this service: what the names of its queues begin with, up to the «:»',
  },
  {
    name: 'queue',
    value: 'name',
    what: 'this one, and its dead-letter queue; can be repeated',
    multiple: true,
    isQueue: true,
  },
];

/** @throws UsageError */
export function scopeOf(values: FlagValues): QueueScope {
  const service = textOf(values, 'service');
  if (service === '') throw new UsageError('--service takes a name');
  return { ...(service !== undefined && { service }), queues: queuesOf(values) };
}

/** @throws UsageError */
export function queuesOf(values: FlagValues): readonly string[] {
  const queues = (values.queue as string[] | undefined) ?? [];
  if (queues.includes('')) throw new UsageError('--queue takes a name');
  return queues;
}

/** The broker, for people. */
export function brokerName({ system, host }: Transport): string {
  return `${system} at ${host}`;
}

/** Undefined where nothing was asked for and the broker lists nothing by itself. @throws TopologyMismatchError */
export async function listQueues(transport: Transport, scope: QueueScope): Promise<QueueList | undefined> {
  const list = await transport.queues?.list?.(scope);
  if (list || scope.service === undefined) return list;
  throw new TopologyMismatchError(
    `Nothing is known of a service «${scope.service}» on ${brokerName(transport)}. Is that its name, and this where it is? An application with «provision: false» leaves no record: name its queues with --queue`,
  );
}

/** Says that a queue is not there, and which one may have been meant. */
export async function noQueue(transport: Transport, queue: string): Promise<TopologyMismatchError> {
  const [service] = queue.split(':');
  const asked = Promise.resolve(transport.queues?.list?.({ service }));
  const list = await asked.catch(() => undefined);
  const names = list?.queues.map(({ name }) => name) ?? [];
  const guess = didYouMean(queue, names, 2) || '. Its name is <service>:<subscription>:dlq';
  return new TopologyMismatchError(`There is no queue «${queue}» on ${brokerName(transport)}${guess}`);
}
