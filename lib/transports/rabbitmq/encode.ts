import type { Options } from 'amqplib';
import { MessageTooLargeError, PublishRefusedError, SerializationError } from '../../errors/publish-errors.js';
import type { MessagingError } from '../../errors/messaging-error.js';
import { header, type Headers, type HeaderValue } from '../../message/headers.js';
import type { WireMessage } from '../../message/message.js';
import type { Destination, Outgoing } from '../../transport/outgoing.js';
import { toTerms, writableTimestamp } from './header-terms.js';
import type { Names } from './names.js';

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
export function encode(message: WireMessage, headers: Headers, to: Destination, mandatory: boolean): Options.Publish {
  const { properties } = message;
  return {
    mandatory,
    persistent: true,
    messageId: message.id === '' ? undefined : message.id,
    type: properties.type ?? message.route,
    contentType: properties.contentType,
    contentEncoding: properties.contentEncoding,
    correlationId: properties.correlationId,
    replyTo: properties.replyTo,
    appId: properties.appId,
    timestamp: writableTimestamp(properties.timestamp),
    priority: properties.priority,
    headers: toTerms(keepRoute(headers, message, to)),
  };
}

/** Why the message cannot be sent, before it is tried. */
export function refusal({ message, to }: Outgoing, maxBytes: number): MessagingError | undefined {
  // A copy of what came from the broker goes back to it whatever its size.
  if (to.kind === 'route' && message.body.length > maxBytes) {
    return new MessageTooLargeError(
      `The body has ${message.body.length} bytes; the most that is sent is ${maxBytes} (option «maxBytes»)`,
    );
  }
  const { headers } = message;
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
 * Those are always complete.
 */
export function* leanerHeaders(headers: Headers): Generator<Headers> {
  const lean: Record<string, HeaderValue> = { ...headers };
  for (const name of [header.errorStack, header.errorMessage]) {
    const text = lean[name];
    if (typeof text === 'string') {
      for (let length = 1024; length >= 64; length /= 4) {
        if (text.length <= length) continue;
        lean[name] = text.slice(0, length);
        yield { ...lean };
      }
    }
    delete lean[name];
    yield { ...lean };
  }
  for (const name of Object.keys(lean)) if (name.startsWith('messaging-error-')) delete lean[name];
  yield lean;
}

/** A queue is addressed by its own name: the route must travel in a header when a foreign type takes its place. */
function keepRoute(headers: Headers, message: WireMessage, to: Destination): Headers {
  const { type } = message.properties;
  if (to.kind === 'route' || type === undefined || type === message.route || headers[header.originRoute] !== undefined)
    return headers;
  return { ...headers, [header.originRoute]: message.route };
}
