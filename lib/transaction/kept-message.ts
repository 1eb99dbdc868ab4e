import { parseTagged, stringifyTagged } from '../durable-queue/tagged-json.js';
import type { MessageProperties, WireMessage } from '../message/message.js';
import type { Headers } from '../message/headers.js';
import { ENTRY_BYTES, Publication, type QueuePolicy } from '../publisher/publication.js';
import type { UnroutablePolicy } from '../publisher/publish-options.js';
import type { Destination } from '../transport/outgoing.js';
import type { NewTransactionRecord } from './transaction-record.js';

/** All that is needed to send a message again, but its body. */
interface Meta {
  readonly id: string;
  readonly to: Destination;
  readonly headers: Headers;
  readonly properties: MessageProperties;
  readonly unroutable: UnroutablePolicy;
  readonly dueAt?: number;
  readonly headerBytes: number;
  readonly policy: QueuePolicy;
  /** What the database of the local transaction knows it by. */
  readonly proof?: string;
}

/** The record of a message that is about to be sent. Its id is that of the publish: a message's own can be used twice. */
export function recordOf(
  publication: Publication,
  timeoutMs: number,
  preparedAt: number,
  proof?: string,
): NewTransactionRecord {
  const { to, message, dedupeId, dueAt, unroutable, bytes, policy } = publication;
  const { id, route, body, headers, properties } = message;
  const headerBytes = bytes - body.length - ENTRY_BYTES;
  const meta: Meta = { id, to, headers, properties, unroutable, dueAt, headerBytes, policy, proof };
  return { id: dedupeId, route, timeoutMs, preparedAt, meta: stringifyTagged(meta), body };
}

/** The message of a record. */
export function messageOf({ route, body, meta }: NewTransactionRecord): WireMessage {
  const { id, headers, properties } = parseTagged(meta) as Meta;
  return { id, route, body, headers, properties };
}

/** What the database of its local transaction knows it by, where that says what became of it. */
export function proofOf({ meta }: NewTransactionRecord): string | undefined {
  return (parseTagged(meta) as Meta).proof;
}

/** One more publish of a record's message, which a broker that de-duplicates takes for the same. */
export function publicationOf(record: NewTransactionRecord): Publication {
  const { to, dueAt, unroutable, headerBytes, policy } = parseTagged(record.meta) as Meta;
  return new Publication(to, messageOf(record), dueAt, unroutable, false, headerBytes, policy, record.id);
}
