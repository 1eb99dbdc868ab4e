import { copiedProperties } from '../../message/copied-properties.js';
import { type Headers, WIRE_VERSION, header } from '../../message/headers.js';
import { newMessageId } from '../../message/message-id.js';
import type { Delivery } from '../../transport/delivery.js';
import type { Outgoing } from '../../transport/outgoing.js';
import { attemptTold } from './attempt-count.js';
import { MAX_WAIT_MS } from './not-before.js';

/** When a copy is made, and for when. Milliseconds. */
export interface CopyTiming {
  readonly now: number;
  /** Until its handler call; 0 for at once. */
  readonly delayMs: number;
  /** The longest delay that the transport makes by itself. */
  readonly maxDelayMs: number;
  /** How many calls alone a suspect is sent on for. Left out: the message is none. */
  readonly suspect?: number;
  /** The subscription's queue, where the delivery came from a partition of it. */
  readonly home?: string;
  /** The queue may be gone for good when the wait is over, and the copy is of no use to anybody then. */
  readonly goesWithQueue?: boolean;
}

/** A copy to the partition of its key, as the delivery is: nothing was tried yet. */
export function copyToPartition(delivery: Delivery, queue: string, now: number): Outgoing {
  const { message } = delivery;
  const headers = { ...message.headers, ...originHeaders(delivery), [header.attempt]: attemptTold(delivery) };
  return {
    to: { kind: 'queue', queue },
    message: { ...message, headers, properties: copiedProperties(message) },
    dedupeId: copyDedupeId(message.id, queue, 'partition', now),
    mandatory: true,
  };
}

/**
 * The message of a delivery, to be sent back to its own queue for handler call `attempt`. A wait longer than the
 * transport's own delay goes in several hops: the header says the end of the wait, and who receives it early sends it on.
 */
export function copyToQueue(delivery: Delivery, attempt: number, timing: CopyTiming): Outgoing {
  const { now, delayMs, maxDelayMs, home, suspect = 0, goesWithQueue = false } = timing;
  const { message, queue } = delivery;
  const headers: Record<string, unknown> = {
    ...message.headers,
    ...originHeaders(delivery, home),
    [header.attempt]: attempt,
  };
  if (suspect > 0) headers[header.suspect] = suspect;
  else delete headers[header.suspect];
  const wait = Math.min(Math.ceil(delayMs), MAX_WAIT_MS);
  if (wait > 0) headers[header.notBefore] = now + wait;
  else delete headers[header.notBefore];
  const hop = Math.min(wait, maxDelayMs);
  return {
    to: { kind: 'queue', queue },
    message: { ...message, headers: headers as Headers, properties: copiedProperties(message) },
    dedupeId: copyDedupeId(message.id, queue, String(attempt), now),
    ...(hop > 0 && { dueAt: now + hop }),
    mandatory: hop === 0 || !goesWithQueue,
  };
}

/**
 * No two copies have the same: after a redrive attempts begin anew, and a deferral keeps its attempt, so that without the
 * last part a broker that de-duplicates would take such a copy for an earlier one and drop it, while its original is acked.
 */
export function copyDedupeId(id: string, queue: string, what: string, now: number): string {
  return `${id}:${queue}:${what}:${newMessageId(now)}`;
}

/** Where a delivery came from first, `home` being its subscription's queue; a copy keeps what its original says. */
export function originHeaders(delivery: Delivery, home = delivery.queue): Headers {
  const { headers, route } = delivery.message;
  const earlier = delivery.direct ? headers : {};
  return {
    [header.originTopic]: earlier[header.originTopic] ?? delivery.topic ?? '',
    [header.originRoute]: earlier[header.originRoute] ?? route,
    [header.originQueue]: home,
    [header.version]: WIRE_VERSION,
  };
}
