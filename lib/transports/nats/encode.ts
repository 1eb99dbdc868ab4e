import { createHash } from 'node:crypto';
import { MessageTooLargeError } from '../../errors/publish-errors.js';
import type { MessagingError } from '../../errors/messaging-error.js';
import { header } from '../../message/headers.js';
import { unsendable } from '../../message/header-values.js';
import type { WireMessage } from '../../message/message.js';
import type { Destination, Outgoing } from '../../transport/outgoing.js';
import type { Lean } from './fitting.js';
import { DEDUPE_HEADER, HeaderLines, property } from './headers.js';
import { deadLetterSubject, directSubject, routeSubject, type Names } from './names.js';

/** Headers of a message that is not due yet, for whoever sends it on. */
export const delayHeader = {
  subject: 'messaging-nats-subject',
  dueAt: 'messaging-nats-due-at',
  /** It may go nowhere when it is due. */
  optional: 'messaging-nats-optional',
} as const;

export function subjectOf(to: Destination, names: Names): string {
  switch (to.kind) {
    case 'route':
      return routeSubject(to.topic ?? names.stream, to.route);
    case 'queue':
      return directSubject(to.queue, names);
    case 'dead-letter':
      return deadLetterSubject(to.route, names);
  }
}

/**
 * The header block of a message. Throws a SerializationError for what cannot be written. `after`: the sequence number of
 * what was sent under its id before, when nobody took it.
 */
export function encodeHeaders(
  outgoing: Outgoing,
  subject: string,
  delayed: boolean,
  after?: number,
  { headers, bare }: Lean = outgoing.message,
): Buffer {
  const { message, dedupeId, to } = outgoing;
  const { properties } = message;
  const problem = unsendable(headers);
  if (problem) throw problem;
  const lines = new HeaderLines();
  // The same publish goes to the same subject: a copy elsewhere with an equal id is another message.
  if (!bare)
    lines.line(DEDUPE_HEADER, dedupeText(subject, after === undefined ? dedupeId : `${dedupeId} after ${after}`));
  // Also where there is none: a foreign message has no other id than the one it is recognised by.
  if (bare !== 'without id') {
    if (message.id === '') lines.line(property.id, '');
    else lines.property(property.id, message.id);
  }
  const type = properties.type ?? (bare ? '' : message.route);
  if (type !== '') lines.property(property.type, type);
  lines.property(property.contentType, properties.contentType);
  lines.property(property.contentEncoding, properties.contentEncoding);
  lines.property(property.correlationId, properties.correlationId);
  lines.property(property.replyTo, properties.replyTo);
  lines.property(property.appId, properties.appId);
  lines.property(property.timestamp, properties.timestamp);
  lines.property(property.priority, properties.priority);
  for (const name of Object.keys(headers)) lines.header(name, headers[name], bare !== undefined);
  if (!bare && mustKeepRoute(message, to)) lines.header(header.originRoute, message.route);
  if (delayed) {
    lines.line(delayHeader.subject, subject);
    lines.line(delayHeader.dueAt, String(Math.ceil(outgoing.dueAt ?? 0)));
    if (!outgoing.mandatory) lines.line(delayHeader.optional, 'true');
  }
  return lines.end();
}

/** It holds a space where it is no hash, so that no two publishes share one. */
function dedupeText(subject: string, dedupeId: string): string {
  const text = `${subject} ${dedupeId}`;
  if (text.length <= 256 && /^[ -~]*[!-~]$/.test(text)) return text;
  return createHash('sha256').update(text).digest('hex');
}

/** Why the message cannot be sent, before it is tried. */
export function tooLarge({ message, to }: Outgoing, maxBytes: number): MessagingError | undefined {
  // A copy of what came from the broker goes back to it whatever its size.
  if (to.kind !== 'route' || message.body.length <= maxBytes) return undefined;
  return new MessageTooLargeError(
    `The body has ${message.body.length} bytes; the most that is sent is ${maxBytes} (option «maxBytes»)`,
  );
}

/** A queue is addressed by its own name: the route must travel in a header when a foreign type takes its place. */
function mustKeepRoute({ properties: { type }, route, headers }: WireMessage, to: Destination): boolean {
  return to.kind !== 'route' && type !== undefined && type !== route && headers[header.originRoute] === undefined;
}
