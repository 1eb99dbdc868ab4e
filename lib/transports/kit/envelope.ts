import {
  MessageTooLargeError,
  PublishRefusedError,
  SerializationError,
  UnroutableError,
} from '../../errors/publish-errors.js';
import { header, type Headers, type HeaderValue, stringHeader } from '../../message/headers.js';
import type { MessageProperties, WireMessage } from '../../message/message.js';
import type { Destination, Outgoing } from '../../transport/outgoing.js';

/*
 * What every transport tells of a message beside body and headers, whatever the broker calls it: the id, the type (the
 * route, or a foreign publisher's own), the properties; and what becomes of a message that it cannot send.
 */

/** What is written of a message beside its headers. */
export type EnvelopeField = 'id' | keyof MessageProperties;

/** Writes a field under the broker's name for it. */
export interface EnvelopeWriter {
  property(name: EnvelopeField, value: string | number | undefined): void;
}

/** The type that a message is sent with. */
export function typeOf({ properties, route }: WireMessage): string {
  return properties.type ?? route;
}

/** Id, type and properties, always in this order; what is absent is handed over as undefined. */
export function writeEnvelope(message: WireMessage, writer: EnvelopeWriter, type: string | undefined): void {
  const { id, properties } = message;
  writer.property('id', id === '' ? undefined : id);
  writer.property('type', type);
  writer.property('contentType', properties.contentType);
  writer.property('contentEncoding', properties.contentEncoding);
  writer.property('correlationId', properties.correlationId);
  writer.property('replyTo', properties.replyTo);
  writer.property('appId', properties.appId);
  writer.property('timestamp', properties.timestamp);
  writer.property('priority', properties.priority);
}

/** Properties as they were received, under our names; numbers may be texts. */
export type FoundProperties = Readonly<Partial<Record<keyof MessageProperties, unknown>>>;

type MutableProperties = { -readonly [Name in keyof MessageProperties]: MessageProperties[Name] };

/** The properties of a received message: those that were found. A type that is the route is none of the sender's own. */
export function readProperties(found: FoundProperties, route: string): MessageProperties {
  const properties: MutableProperties = {};
  if (found.contentType !== undefined) properties.contentType = found.contentType as string;
  if (found.contentEncoding !== undefined) properties.contentEncoding = found.contentEncoding as string;
  if (found.correlationId !== undefined) properties.correlationId = found.correlationId as string;
  if (found.replyTo !== undefined) properties.replyTo = found.replyTo as string;
  if (found.appId !== undefined) properties.appId = found.appId as string;
  if (found.type !== undefined && found.type !== route) properties.type = found.type as string;
  const timestamp = numberOf(found.timestamp);
  if (timestamp !== undefined) properties.timestamp = timestamp;
  const priority = numberOf(found.priority);
  if (priority !== undefined) properties.priority = priority;
  return properties;
}

function numberOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : undefined;
}

/**
 * The route that has to travel in `messaging-origin-route`: a queue is addressed by its own name, and a foreign type has
 * the route's place. Undefined where the message tells its route anyway.
 */
export function keptRoute(message: WireMessage, to: Destination): string | undefined {
  const { properties, route, headers } = message;
  const { type } = properties;
  if (to.kind === 'route' || type === undefined || type === route) return undefined;
  return headers[header.originRoute] === undefined ? route : undefined;
}

/** The route of a message that did not come by it. */
export function routeOf(headers: Headers, type: unknown, queue: string): string {
  return stringHeader(headers, header.originRoute) ?? (typeof type === 'string' && type !== '' ? type : queue);
}

/** Why a body is not sent at all. A copy of what came from the broker goes back to it whatever its size. */
export function tooLarge({ message, to }: Outgoing, maxBytes: number): MessageTooLargeError | undefined {
  if (to.kind !== 'route' || message.body.length <= maxBytes) return undefined;
  return new MessageTooLargeError(
    `The body has ${message.body.length} bytes; the most that is sent is ${maxBytes} (option «maxBytes»)`,
  );
}

/** Why a message is not delayed for so long. `broker`: its name, for people. */
export function delayedTooLong(delayMs: number, maxDelayMs: number, broker: string): PublishRefusedError | undefined {
  if (delayMs <= maxDelayMs) return undefined;
  return new PublishRefusedError(`A delay of ${delayMs} ms is longer than ${maxDelayMs} ms, the longest on ${broker}`);
}

/** Why nothing goes to a place: a text of most brokers holds no zero, and one in a name would fail all that is stored with it. */
export function unspeakable(to: Destination): SerializationError | undefined {
  const name = to.kind === 'queue' ? to.queue : `${to.route}${to.kind === 'route' ? (to.topic ?? '') : ''}`;
  return name.includes('\0') ? new SerializationError('The name of a route or queue holds a zero') : undefined;
}

/** No queue takes the message. `topic`: of those that name none. */
export function unroutable({ to }: Pick<Outgoing, 'to'>, topic: string): UnroutableError {
  switch (to.kind) {
    case 'route':
      return new UnroutableError(`No queue is bound to «${to.topic ?? topic}» for the route «${to.route}»`);
    case 'queue':
      return new UnroutableError(`There is no queue «${to.queue}»`);
    case 'dead-letter':
      return new UnroutableError(`No dead-letter queue is bound for «${to.route}»`);
  }
}

/** The beginning of a text says most. */
const CUTS = [1_024, 256, 64];

/** The headers of a dead letter with less and less of what its error said: first of the stack, then of the message. */
export function* shorterErrors(headers: Headers): Generator<Record<string, HeaderValue>> {
  const lean: Record<string, HeaderValue> = { ...headers };
  for (const name of [header.errorStack, header.errorMessage]) {
    const text = lean[name];
    for (const length of typeof text === 'string' ? CUTS : []) {
      if ((text as string).length <= length) continue;
      lean[name] = (text as string).slice(0, length);
      yield { ...lean };
    }
    delete lean[name];
    yield { ...lean };
  }
}
