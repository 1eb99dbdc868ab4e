import type { ConsumeMessage, GetMessage } from 'amqplib';
import { header, requestHeader, stringHeader, type Headers, type HeaderValue } from '../../../message/headers.js';
import type { WireMessage } from '../../../message/message.js';
import { readProperties, routeOf } from '../../kit/envelope.js';
import { fromTerms } from './header-terms.js';
import { DELAY_PREFIX, transportHeader, type Names } from '../names.js';

export type RawMessage = ConsumeMessage | GetMessage;

/** Where a message came from, told by the exchange that routed it into the queue. */
export interface Origin {
  readonly direct: boolean;
  readonly topic?: string;
}

type MutableHeaders = Record<string, HeaderValue>;

const DIRECT: Origin = Object.freeze({ direct: true });

export function originOf(raw: RawMessage, names: Names): Origin {
  const { exchange } = raw.fields;
  // A message that was delayed arrives from the exit of its last level.
  if (exchange === '' || exchange === names.due || exchange.startsWith(`${names.delay}.`)) return DIRECT;
  return { direct: false, topic: exchange };
}

export function decode(raw: RawMessage, queue: string, origin: Origin, names: Names): WireMessage {
  const received = (raw.properties.headers ?? {}) as Headers;
  const route = routeIn(raw, received, queue, origin, names);
  return {
    id: stringOr(raw.properties.messageId, ''),
    route,
    body: raw.content,
    headers: fromTerms(cleanHeaders(received, raw)),
    properties: readProperties(raw.properties, route),
  };
}

/** Where a quorum queue writes its count of earlier deliveries: since 4.3 the older header leaves out what was given back. */
export type CountHeader = 'x-delivery-count' | 'x-acquired-count';

/**
 * Earlier deliveries of a message; `countedIn` undefined: nobody counts. Where nothing was delivered before, a
 * count came with the message: senders, and tools that move messages, pass on the headers of an earlier delivery.
 */
export function deliveryCountOf(
  { fields, properties }: RawMessage,
  countedIn: CountHeader | undefined,
): number | undefined {
  if (countedIn === undefined) return undefined;
  if (!fields.redelivered) return 0;
  const count: unknown = properties.headers?.[countedIn];
  return typeof count === 'number' ? Math.max(0, count) : 0;
}

function routeIn(raw: RawMessage, headers: Headers, queue: string, origin: Origin, names: Names): string {
  const { routingKey } = raw.fields;
  if (origin.direct) return routeOf(headers, raw.properties.type, queue);
  if (origin.topic !== names.deadLetters) return routingKey;
  return (
    stringHeader(headers, header.originRoute) ?? deadLetteredRoute(headers) ?? stringOr(raw.properties.type, routingKey)
  );
}

/** The routing key before the broker itself dead-lettered the message. */
function deadLetteredRoute(headers: Headers): string | undefined {
  const deaths = headers['x-death'];
  if (!Array.isArray(deaths)) return undefined;
  const [first] = (deaths as readonly Headers[]).slice(-1);
  const keys = first?.['routing-keys'];
  const key: unknown = first?.exchange !== '' && Array.isArray(keys) ? keys[0] : undefined;
  return typeof key === 'string' && key !== '' ? key : undefined;
}

/** What the broker and this transport added is taken off; what a copy must not carry as a property is kept as a header. */
function cleanHeaders(received: Headers, raw: RawMessage): Headers {
  const { userId, expiration: kept } = raw.properties as { userId?: string; expiration?: string };
  // That of a request follows from its deadline.
  const expiration = requestHeader.deadline in received ? undefined : kept;
  if (userId === undefined && expiration === undefined && !hasInternal(received)) return received;
  const headers: MutableHeaders = {};
  for (const name of Object.keys(received)) {
    if (name === 'CC' || name === 'BCC') headers[transportHeader.cc] = received[name];
    else if (!isInternal(name)) headers[name] = received[name];
  }
  if (userId !== undefined) headers[transportHeader.userId] = userId;
  if (expiration !== undefined) headers[transportHeader.expiration] = expiration;
  return headers;
}

function hasInternal(headers: Headers): boolean {
  for (const name in headers) if (isInternal(name) || name === 'CC' || name === 'BCC') return true;
  return false;
}

const BROKER_HEADERS = new Set(['x-delivery-count', 'x-acquired-count', 'x-death']);

function isInternal(name: string): boolean {
  switch (name.charCodeAt(0)) {
    case 120: // x
      return BROKER_HEADERS.has(name) || name.startsWith('x-first-death-') || name.startsWith('x-last-death-');
    case 109: // m
      return name.startsWith(DELAY_PREFIX);
    default:
      return false;
  }
}

function stringOr(value: unknown, otherwise: string): string {
  return typeof value === 'string' && value !== '' ? value : otherwise;
}
