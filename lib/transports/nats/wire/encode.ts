import { createHash } from 'node:crypto';
import { header } from '../../../message/headers.js';
import { unsendable } from '../../../message/header-values.js';
import type { Destination, Outgoing } from '../../../transport/outgoing.js';
import { keptRoute, typeOf, writeEnvelope } from '../../kit/envelope.js';
import type { Lean } from './fitting.js';
import { DEDUPE_HEADER, HeaderLines } from './headers.js';
import { deadLetterSubject, directSubject, routeSubject, type Names } from '../names.js';

/** Headers of a message that is not due yet, for whoever sends it on. */
export const delayHeader = {
  subject: 'messaging-nats-subject',
  dueAt: 'messaging-nats-due-at',
  /** The message may go nowhere when it is due. */
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
  const problem = unsendable(headers);
  if (problem) throw problem;
  const lines = new HeaderLines(bare !== 'without id');
  // The same publish goes to the same subject: a copy elsewhere with an equal id is another message.
  if (!bare)
    lines.line(DEDUPE_HEADER, dedupeText(subject, after === undefined ? dedupeId : `${dedupeId} after ${after}`));
  writeEnvelope(message, lines, (bare ? message.properties.type : typeOf(message)) || undefined);
  for (const name of Object.keys(headers)) lines.header(name, headers[name], bare !== undefined);
  const route = bare ? undefined : keptRoute(message, to);
  if (route !== undefined) lines.header(header.originRoute, route);
  if (delayed) {
    lines.line(delayHeader.subject, subject);
    lines.line(delayHeader.dueAt, String(Math.ceil(outgoing.dueAt ?? 0)));
    if (!outgoing.mandatory) lines.line(delayHeader.optional, 'true');
  }
  return lines.end();
}

/** The text holds a space where it is no hash, so that no two publishes share one. */
function dedupeText(subject: string, dedupeId: string): string {
  const text = `${subject} ${dedupeId}`;
  if (text.length <= 256 && /^[ -~]*[!-~]$/.test(text)) return text;
  return createHash('sha256').update(text).digest('hex');
}
