import { systemClock } from '../clock/clock.js';
import { DeadLetters } from '../dead-letter/dead-letters.js';
import { TopologyMismatchError } from '../errors/configuration-errors.js';
import { printable } from '../errors/printable.js';
import { errorMessage } from '../errors/redact.js';
import { MessagingEvents } from '../events/messaging-events.js';
import type { PublisherDeadLetters } from '../publisher/publisher-dead-letters.js';
import type { ListedQueue, QueueScope } from '../transport/queue-list.js';
import { queuesOf } from '../transport/queue-operations.js';
import type { Transport } from '../transport/transport.js';
import type { Console } from './command.js';
import { withBroker } from './broker.js';
import type { Access, PlaceWork } from './dead-letters-place.js';
import type { FlagValues } from './flags.js';
import { noQueue } from './queue-scope.js';

/** Dead-letter queues of a broker. An operator's command makes none. */
export function withQueues<T>(
  queue: readonly string[],
  values: FlagValues,
  console: Console,
  access: Access,
  work: PlaceWork<T>,
): Promise<T> {
  return withBroker(values, console, async (transport) => {
    const queues = queuesOf(transport, 'its dead letters are in an archive');
    for (const one of queue) {
      if ((await queues.depth(one)) === undefined) throw await noQueue(transport, one);
      if (access !== 'read') await assertDeadLetterQueue(transport, one);
    }
    const letters = deadLettersOf(transport, NONE, console);
    return work({
      name: 'the queue',
      count: () => letters.count({ queue }),
      list: (conditions, page) => letters.list({ queue, ...conditions }, page),
      redrive: (conditions, options) => letters.redrive({ queue, ...conditions }, options),
      delete: async (conditions) => (await letters.delete({ queue, ...conditions })).done,
    });
  });
}

/** The dead letters of the given publisher, and of any queue of the broker. */
export function deadLettersOf(transport: Transport, publishers: PublisherDeadLetters, console: Console): DeadLetters {
  return new DeadLetters({
    transport,
    publishers,
    clock: systemClock,
    events: eventsFor(console),
    queues: () => new Map(),
    onChange: () => undefined,
  });
}

/** Nobody listens but the redrive itself. */
export function eventsFor({ stderr }: Console): MessagingEvents {
  return new MessagingEvents((error) => void stderr.write(`${printable(errorMessage(error))}\n`));
}

/** What waits for a handler is not deleted by mistake. @throws TopologyMismatchError */
async function assertDeadLetterQueue(transport: Transport, queue: string): Promise<void> {
  const known = async (scope: QueueScope): Promise<readonly ListedQueue[]> => {
    // A user who may not list queues is not kept from working.
    const list = await Promise.resolve(transport.queues?.list?.(scope)).catch(() => undefined);
    return list?.queues ?? [];
  };
  const target = (await known({ queues: [queue] })).find(({ name }) => name === queue)?.deadLetterQueue;
  if (target === undefined) return;
  const others = await known({ service: queue.split(':')[0], queues: [queue] });
  if (others.some(({ deadLetterQueue }) => deadLetterQueue === queue)) return;
  throw new TopologyMismatchError(`«${queue}» is no dead-letter queue: that of its messages is «${target}»`);
}

/** A publisher's dead letters are in the application that published them. */
const NONE: PublisherDeadLetters = { size: 0, after: () => [], delete: () => false };
