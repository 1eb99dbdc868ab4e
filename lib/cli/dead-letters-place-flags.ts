import type { Console } from './command.js';
import { withArchive } from './dead-letters-archive-file.js';
import { BROKER, refuseBroker } from './broker-flags.js';
import type { Access, PlaceWork } from './dead-letters-place.js';
import { withQueues } from './dead-letters-queues.js';
import { withRequeueDirectory } from './dead-letters-requeue.js';
import { withRetryQueue } from './dead-letters-retry-queue.js';
import { type Flag, type FlagValues, textOf, UsageError } from './flags.js';
import { queuesOf } from './queue-scope.js';

/** Where the dead letters are. */
export const PLACE: readonly Flag[] = [
  {
    name: 'queue',
    value: 'name',
    what: 'dead-letter queue: orders:order.created:dlq; can be repeated; required, or one of the next three',
    multiple: true,
    isQueue: true,
  },
  { name: 'archive', value: 'file', what: 'instead of a queue: the file of sqliteDeadLetterArchive' },
  {
    name: 'retry-queue',
    value: 'folder',
    what: "instead of a queue: the publisher's own, in the folder of diskRetryQueue",
  },
  { name: 'data-dir', value: 'folder', what: 'instead of a queue: the folder of a requeue service' },
  {
    name: 'destination',
    value: 'name',
    what: 'of a retry queue: whose, where several applications share the folder: orders:default:rabbitmq:/:events',
  },
  ...BROKER,
];

/** Said where a place is read. */
export const PLACE_NOTES = [
  [
    'RabbitMQ lets nobody look into a queue: its messages are taken, and given back at the end. Meanwhile other readers do not',
    'see them; afterwards they are marked «redelivered», and a quorum queue has counted one delivery more. The order stays,',
    'except where more than 2,000 that were read before follow those that are shown: these go to the end then. At the delivery',
    'limit of the queue a message is dropped: queues of this package have 1,000,000, one that somebody else has declared may have 20.',
    'NATS shows messages without taking them.',
  ].join('\n'),
  [
    '--archive and --retry-queue need a broker for a redrive only. An archive may be in use; the folder of a retry queue may be',
    'in use where it is only read, and so may that of a requeue service. What is redriven there goes back into its queue, and is',
    'sent when the service starts again. All need SQLite: Node 22.13, or the package @photostructure/sqlite.',
  ].join('\n'),
].join('\n\n');

/** Opens the place that the flags name, runs `work`, and closes it. @throws UsageError, MessagingError */
export function withPlace<T>(values: FlagValues, console: Console, access: Access, work: PlaceWork<T>): Promise<T> {
  const queues = queuesOf(values);
  const archive = pathOf(values, 'archive');
  const retryQueue = pathOf(values, 'retry-queue');
  const dataDir = pathOf(values, 'data-dir');
  const named = [
    queues.length > 0 && '--queue',
    archive && '--archive',
    retryQueue && '--retry-queue',
    dataDir && '--data-dir',
  ].filter(Boolean);
  if (named.length > 1) throw new UsageError(`${named.join(' and ')} do not go together: one place at a time`);
  if (named.length === 0)
    throw new UsageError(
      '--queue is required: the name of a dead-letter queue; or --archive <file>, --retry-queue <folder>, or --data-dir <folder>',
    );
  if (dataDir !== undefined || (queues.length === 0 && access !== 'send'))
    refuseBroker(values, `no broker is needed for this with ${named[0]}`);
  if (retryQueue === undefined && textOf(values, 'destination') !== undefined)
    throw new UsageError('--destination goes with --retry-queue');
  if (dataDir !== undefined) return withRequeueDirectory(dataDir, work);
  if (archive !== undefined) return withArchive(archive, values, console, access, work);
  if (retryQueue !== undefined) return withRetryQueue(retryQueue, values, console, access, work);
  return withQueues(queues, values, console, access, work);
}

function pathOf(values: FlagValues, name: string): string | undefined {
  const path = textOf(values, name);
  if (path === '') throw new UsageError(`--${name} takes a path`);
  return path;
}
