import { copyDedupeId, originHeaders } from '../consumer/settlement/copy.js';
import { type Headers, header } from '../message/headers.js';
import type { Delivery } from '../transport/delivery.js';
import type { Outgoing } from '../transport/outgoing.js';

/**
 * The message in another queue: its id, body and headers, its attempts, and where it came from. `home`: the queue whose
 * messages these are.
 */
export function movedCopy(delivery: Delivery, to: string, home: string, now: number): Outgoing {
  const { message, direct } = delivery;
  const headers: Record<string, unknown> = { ...message.headers };
  if (!direct && !(header.reason in headers)) {
    // Only what comes by the name of a queue may tell of attempts.
    delete headers[header.attempt];
    delete headers[header.suspect];
    Object.assign(headers, originHeaders(delivery, home));
  }
  return {
    to: { kind: 'queue', queue: to },
    message: { ...message, headers: headers as Headers },
    dedupeId: copyDedupeId(message.id, to, 'moved', now),
    mandatory: true,
  };
}
