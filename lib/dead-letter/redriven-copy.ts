import { copiedProperties } from '../message/copied-properties.js';
import { type Headers, header, requestHeader } from '../message/headers.js';
import { newMessageId } from '../message/message-id.js';
import type { WireMessage } from '../message/message.js';
import type { PublisherDeadLetter } from '../publisher/publisher-dead-letters.js';
import type { Outgoing } from '../transport/outgoing.js';
import type { DeadLetter } from './dead-letter.js';

/** What a redriven message no longer says of itself. */
const CLEARED = [
  header.reason,
  header.errorClass,
  header.errorCode,
  header.errorMessage,
  header.errorStack,
  header.originTime,
  header.originHost,
  header.expiresAt,
  header.notBefore,
  requestHeader.deadline,
  header.suspect,
];

/** The copy that goes back to the queue a dead letter came from: same id and bytes, nothing left of its failure. */
export function redrivenCopy(
  { origin, deadLetterQueue, route }: DeadLetter,
  message: WireMessage,
  attempt: number,
  now: number,
): Outgoing {
  const headers = clearedHeaders(message.headers);
  headers[header.attempt] = attempt;
  return {
    to: origin.queue === undefined ? { kind: 'route', route } : { kind: 'queue', queue: origin.queue },
    message: { ...message, route, headers: headers as Headers, properties: copiedProperties(message) },
    dedupeId: `${message.id}:redrive:${deadLetterQueue}:${newMessageId(now)}`,
    mandatory: true,
  };
}

/** A dead letter of the publisher, to be sent where it was meant to go. */
export function republishedCopy({ message, to }: PublisherDeadLetter, now: number): Outgoing {
  const headers = clearedHeaders(message.headers) as Headers;
  return { to, message: { ...message, headers }, dedupeId: newMessageId(now), mandatory: true };
}

function clearedHeaders(from: Headers): Record<string, unknown> {
  const headers: Record<string, unknown> = { ...from };
  for (const name of CLEARED) delete headers[name];
  return headers;
}
