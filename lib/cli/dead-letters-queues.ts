import { systemClock } from '../clock/clock.js';
import { DeadLetters } from '../dead-letter/dead-letters.js';
import { TopologyMismatchError } from '../errors/configuration-errors.js';
import { printable } from '../errors/printable.js';
import { errorMessage } from '../errors/redact.js';
import { MessagingEvents } from '../events/messaging-events.js';
import type { PublisherDeadLetters } from '../publisher/publisher-dead-letters.js';
import { queuesOf } from '../transport/queue-operations.js';
import type { Transport } from '../transport/transport.js';
import type { Console } from './command.js';
import { withBroker } from './dead-letters-broker.js';
import type { Work } from './dead-letters-place.js';
import type { FlagValues } from './flags.js';

/** Dead-letter queues of a broker. An operator's command makes none. */
export function withQueues<T>(
  queue: readonly string[],
  values: FlagValues,
  console: Console,
  work: Work<T>,
): Promise<T> {
  return withBroker(values, console, async (transport) => {
    for (const one of queue) await assertThere(transport, one);
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

/** Those of the given publisher, and of any queue of the broker. */
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

async function assertThere(transport: Transport, queue: string): Promise<void> {
  if ((await queuesOf(transport, 'its dead letters are in an archive').depth(queue)) === undefined)
    throw new TopologyMismatchError(
      `There is no queue «${queue}» on ${transport.system} at ${transport.host}. Its name is <service>:<subscription>:dlq`,
    );
}

/** They are in the application that published them. */
const NONE: PublisherDeadLetters = { size: 0, after: () => [], delete: () => false };
