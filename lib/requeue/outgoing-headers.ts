import type { MsgHdrs } from '@nats-io/transport-node';
import type { QueueEntry } from '../durable-queue/queue-entry.js';
import { DELIVERY_HEADERS } from './requeue-headers.js';
import type { RequeueMeta } from './requeue-meta.js';

/** The application's headers, and what the subscriber may want to know. */
export function outgoingHeaders(headers: MsgHdrs, entry: QueueEntry, meta: RequeueMeta): MsgHdrs {
  for (const [name, values] of meta.headers) for (const value of values) headers.append(name, value);
  headers.set(DELIVERY_HEADERS.attempt, String(entry.attempts + 1));
  headers.set(DELIVERY_HEADERS.id, entry.id);
  headers.set(DELIVERY_HEADERS.queue, entry.queue);
  headers.set(DELIVERY_HEADERS.time, String(entry.queuedAt));
  return headers;
}

const LINE_BYTES = 4; // «: » and the end of the line
const FRAME_BYTES = 14; // «NATS/1.0», two ends of lines, and some room
const LONGEST_NUMBER = 16;

/** The most bytes that the headers of a message will ever have on their way out. */
export function outgoingHeaderBytes(id: string, queue: string, meta: RequeueMeta): number {
  let bytes = FRAME_BYTES;
  for (const [name, values] of meta.headers)
    for (const value of values) bytes += Buffer.byteLength(name) + Buffer.byteLength(value) + LINE_BYTES;
  for (const name of Object.values(DELIVERY_HEADERS)) bytes += name.length + LINE_BYTES;
  return bytes + Buffer.byteLength(id) + Buffer.byteLength(queue) + 2 * LONGEST_NUMBER;
}
