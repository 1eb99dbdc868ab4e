import { header, type Headers, type HeaderValue } from '../../../message/headers.js';
import type { Outgoing } from '../../../transport/outgoing.js';
import { shorterErrors } from '../../kit/envelope.js';

/**
 * What copies need beside what they are copies of: so many bytes below the server's `max_payload` an application's own
 * publish is refused, so that each can be retried and become a dead letter with its reason.
 */
const COPY_ROOM = 4_096;

/** Headers of no use for sending the message again, the least telling first. */
const DISPENSABLE = [
  header.errorCode,
  header.errorClass,
  header.originHost,
  header.originService,
  header.originTime,
  header.version,
  header.originTopic,
];
/** A dead letter can do without these when all else fails; where it came from goes last. */
const LAST = [header.attempt, header.reason, header.originRoute, header.originQueue];

/** Less of our headers. `bare`: also without what the server recognises a resend by, and a type or id that it did not have. */
export interface Lean {
  readonly headers: Headers;
  readonly bare?: 'with id' | 'without id';
}

/** The bytes that an application's own publish leaves free for its copies; 0 for a copy. */
export function copyRoom({ to, message }: Outgoing, maxPayload: number): number {
  if (to.kind === 'dead-letter' || message.headers[header.attempt] !== undefined) return 0;
  return Math.min(COPY_ROOM, Math.floor(maxPayload / 8));
}

/** What a copy can be written with when it is too large, each time with less of ours; headers of others are always complete. */
export function* leaner({ to, message }: Outgoing): Generator<Lean> {
  if (to.kind === 'route') return;
  let headers: Record<string, HeaderValue> = { ...message.headers };
  for (headers of shorterErrors(headers)) yield { headers };
  for (const name of DISPENSABLE) {
    delete headers[name];
    yield { headers };
  }
  // As texts, which need no word about their type.
  for (const name of [header.attempt, header.notBefore])
    if (typeof headers[name] === 'number') headers[name] = String(headers[name]);
  yield* bare(headers);
  for (const name of to.kind === 'queue' ? [header.originQueue] : LAST) {
    delete headers[name];
    yield* bare(headers);
  }
}

function* bare(headers: Headers): Generator<Lean> {
  yield { headers, bare: 'with id' };
  yield { headers, bare: 'without id' };
}
