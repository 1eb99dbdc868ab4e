import { type Headers, WIRE_VERSION, header } from '../message/headers.js';
import type { Delivery } from '../transport/delivery.js';
import type { Outgoing } from '../transport/outgoing.js';

/** The message of a delivery, to be sent back to its own queue for handler call `attempt`, not before `dueAt`. */
export function copyToQueue(delivery: Delivery, attempt: number, dueAt: number | undefined): Outgoing {
  const { message, queue } = delivery;
  const headers: Record<string, unknown> = {
    ...message.headers,
    ...originHeaders(delivery),
    [header.attempt]: attempt,
  };
  if (dueAt === undefined) delete headers[header.notBefore];
  else headers[header.notBefore] = dueAt;
  return {
    to: { kind: 'queue', queue },
    message: { ...message, headers: headers as Headers },
    dedupeId: `${message.id}:${queue}:${attempt}`,
    ...(dueAt !== undefined && { dueAt }),
    mandatory: true,
  };
}

/** Where a delivery came from first; a copy keeps what its original says. */
export function originHeaders(delivery: Delivery): Headers {
  const { headers, route } = delivery.message;
  const earlier = delivery.direct ? headers : {};
  return {
    [header.originTopic]: earlier[header.originTopic] ?? delivery.topic ?? '',
    [header.originRoute]: earlier[header.originRoute] ?? route,
    [header.originQueue]: delivery.queue,
    [header.version]: WIRE_VERSION,
  };
}
