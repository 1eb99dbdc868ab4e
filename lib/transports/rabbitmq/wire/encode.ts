import type { Options } from 'amqplib';
import { MessageTooLargeError, PublishRefusedError, SerializationError } from '../../../errors/publish-errors.js';
import type { MessagingError } from '../../../errors/messaging-error.js';
import { header, type Headers, type HeaderValue, integerHeader, requestHeader } from '../../../message/headers.js';
import type { WireMessage } from '../../../message/message.js';
import type { Destination, Outgoing } from '../../../transport/outgoing.js';
import { keptRoute, shorterErrors, tooLarge, typeOf } from '../../kit/envelope.js';
import { toTerms, writableTimestamp } from './header-terms.js';
import type { Names } from '../names.js';

/** The broker closes the channel over more. */
const LONGEST_MS = 2 ** 32 - 1;

/** An AMQP address: what a message is published with. */
export interface Target {
  readonly exchange: string;
  readonly routingKey: string;
}

export function targetOf(to: Destination, names: Names): Target {
  switch (to.kind) {
    case 'route':
      return { exchange: to.topic ?? names.exchange, routingKey: to.route };
    case 'queue':
      return { exchange: '', routingKey: to.queue };
    case 'dead-letter':
      return { exchange: names.deadLetters, routingKey: to.route };
  }
}

/**
 * Whether it is an answer to a client that waits for it without a queue (`amq.rabbitmq.reply-to`). Asked to say where it goes
 * nowhere, the broker says so of every such answer, also of those that arrive.
 */
export function isDirectReply({ exchange, routingKey }: Target): boolean {
  return exchange === '' && routingKey.startsWith('amq.rabbitmq.reply-to.');
}

/** The AMQP properties and headers of a message. `headers` are the message's, or these with more. */
export function encode(
  message: WireMessage,
  headers: Headers,
  to: Destination,
  mandatory: boolean,
  expiration?: string,
): Options.Publish {
  const { properties } = message;
  const route = keptRoute(message, to);
  return {
    mandatory,
    persistent: true,
    messageId: message.id === '' ? undefined : message.id,
    type: typeOf(message),
    contentType: properties.contentType,
    contentEncoding: properties.contentEncoding,
    correlationId: properties.correlationId,
    replyTo: properties.replyTo,
    appId: properties.appId,
    timestamp: writableTimestamp(properties.timestamp),
    priority: properties.priority,
    expiration,
    headers: toTerms(route === undefined ? headers : { ...headers, [header.originRoute]: route }),
  };
}

/** For how long the broker keeps a request: as long as its sender waits for the reply. Undefined: as long as can be. */
export function expirationOf({ headers }: WireMessage, to: Destination, now: number): string | undefined {
  if (!(requestHeader.deadline in headers) || to.kind === 'dead-letter') return undefined;
  const expiresAt = integerHeader(headers, header.expiresAt, 0, now + LONGEST_MS);
  return expiresAt === undefined ? undefined : String(Math.max(1, Math.ceil(expiresAt - now)));
}

/** Why the message cannot be sent, before it is tried. */
export function refusal(outgoing: Outgoing, maxBytes: number): MessagingError | undefined {
  const problem = tooLarge(outgoing, maxBytes);
  if (problem) return problem;
  const { headers } = outgoing.message;
  if (headers.CC !== undefined || headers.BCC !== undefined) {
    return new PublishRefusedError(
      'The headers «CC» and «BCC» would make the broker route the message to further queues',
    );
  }
  return undefined;
}

/** Room for what a retry or a dead letter adds to the headers of its original: without it what just fits gets neither. */
const COPY_ROOM = 2_048;

/** How much of a frame is not for the headers of a message that goes there. */
export function roomFor({ kind }: Destination): number {
  return kind === 'route' ? COPY_ROOM : 0;
}

/** What amqplib, or the measuring before it, throws when it cannot write a message. */
export function encodingError(error: unknown): MessagingError {
  const { message } = error as Error;
  if (error instanceof SerializationError) return error;
  if (isTableTooLarge(error))
    return new MessageTooLargeError(
      message.includes('frame_max') ? message : 'The headers exceed 64 KiB, the most that can be sent',
    );
  return new SerializationError(`The message cannot be written: ${message}`);
}

export function isTableTooLarge(error: unknown): boolean {
  return error instanceof RangeError && error.message.includes('exceeds the');
}

/**
 * The headers of a dead letter with less and less of the error in them, so that it fits beside large headers of others.
 * The headers of others are always complete.
 */
export function* leanerHeaders(headers: Headers): Generator<Headers> {
  let lean: Record<string, HeaderValue> = headers;
  for (lean of shorterErrors(headers)) yield lean;
  yield Object.fromEntries(Object.entries(lean).filter(([name]) => !name.startsWith('messaging-error-')));
}
