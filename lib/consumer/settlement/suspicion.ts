import { CrashedError } from '../../errors/handling-errors.js';
import { header, integerHeader } from '../../message/headers.js';
import { Outcome } from '../../pipeline/outcome.js';
import type { Delivery } from '../../transport/delivery.js';

/** Deliveries that end without being settled before a message is suspected of ending its process. */
export const MAX_CRASHES = 3;

/** Calls alone that end without a result before the suspicion is taken for the truth. */
export const MAX_CALLS_ALONE = 2;

/** How many calls alone the message was sent on for; 0: it is no suspect. Anybody can write the header on what has a route. */
export function callsAloneOf({ direct, message }: Delivery): number {
  if (!direct || !(header.suspect in message.headers)) return 0;
  return integerHeader(message.headers, header.suspect, 0, MAX_CALLS_ALONE) ?? 0;
}

/** What earlier deliveries that ended without a result lead to; undefined: the message may be called. */
export function verdictOn(delivery: Delivery, crashes: number): Outcome | undefined {
  const alone = callsAloneOf(delivery);
  if (alone === 0 ? crashes < MAX_CRASHES : crashes === 0) return undefined;
  if (alone < MAX_CALLS_ALONE) return Outcome.suspect(0);
  return Outcome.deadLetter(
    'crashed',
    new CrashedError(
      `Delivered ${MAX_CRASHES} times and called alone ${alone} times without a result: each time its process ended, or lost its connection`,
    ),
  );
}
