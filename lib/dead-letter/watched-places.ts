import type { Clock } from '../clock/clock.js';
import { MessagingError } from '../errors/messaging-error.js';
import { errorMessage } from '../errors/redact.js';
import type { Log } from '../events/log.js';
import type { MessagingEvents } from '../events/messaging-events.js';
import type { PublisherDeadLetters } from '../publisher/publisher-dead-letters.js';
import type { Transport } from '../transport/transport.js';
import { ArchivePlace } from './archive-place.js';
import type { Archiving } from './archiving.js';
import type { AlertsOptions } from './dead-letter-alerts.js';
import { DeadLetterArchiveError } from './dead-letter-archive-error.js';
import type { ResolvedDeadLetters } from './dead-letter-options.js';
import type { DeadLetterPlace } from './dead-letter-place.js';
import { DeadLetterWatch } from './dead-letter-watch.js';
import { PublisherPlace } from './publisher-place.js';
import { QueuePlace } from './queue-place.js';

export interface WatchedPlaces {
  readonly transport: Pick<Transport, 'queues'>;
  readonly clock: Clock;
  readonly events: MessagingEvents;
  readonly log: Log;
  readonly publishers: PublisherDeadLetters;
  /** The dead-letter queues of this process's subscriptions. */
  readonly queues: () => Iterable<string>;
  readonly archiving: Archiving | undefined;
}

/** What looks after the dead letters of one connection; undefined where nothing is asked for. */
export function watchOf(
  options: { readonly deadLetters: ResolvedDeadLetters; readonly alerts: AlertsOptions | undefined },
  { transport, clock, events, log, publishers, queues, archiving }: WatchedPlaces,
): DeadLetterWatch | undefined {
  const { interval, maxAge, maxCount } = options.deadLetters;
  const known = new Map<string, QueuePlace>();
  const fixed: DeadLetterPlace[] = [new PublisherPlace(publishers)];
  if (archiving) fixed.push(new ArchivePlace(archiving.letters.store));
  const placeOf = (queue: string): QueuePlace => {
    let place = known.get(queue);
    if (!place) known.set(queue, (place = new QueuePlace(queue, transport.queues!, clock)));
    return place;
  };
  return DeadLetterWatch.of({
    ...{ clock, log, interval, alerts: options.alerts },
    limits: { ...(maxAge !== undefined && { maxAge }), ...(maxCount !== undefined && { maxCount }) },
    places: () => [...(transport.queues ? Array.from(new Set(queues()), placeOf) : []), ...fixed],
    expired: ({ place, cause, deadLetter: { id, route, reason, time } }) =>
      events.emit('dead-letter-expired', { place, cause, id, route, reason, time }),
    alerted: (alert) => events.emit('dead-letter-alert', alert),
    failed: (error) => {
      const known = error instanceof MessagingError;
      const failure = known ? error : new DeadLetterArchiveError(errorMessage(error), { cause: error });
      events.emit('store-error', { operation: 'expiry', error: failure });
    },
  });
}
