import { isUtf8 } from 'node:buffer';
import { header, type HeaderValue } from '../../message/headers.js';
import { unsendable } from '../../message/header-values.js';
import type { WireMessage } from '../../message/message.js';
import type { Outgoing } from '../../transport/outgoing.js';
import { compilePattern, wordsOf } from '../../transport/topic-pattern.js';
import type { Topology } from '../../transport/topology.js';
import {
  type EnvelopeField,
  type EnvelopeWriter,
  keptRoute,
  readProperties,
  routeOf,
  typeOf,
  writeEnvelope,
} from '../kit/envelope.js';
import { parseTypes, putHeader, ReservedNames, TextHeaders, TYPES_HEADER } from '../kit/text-values.js';
import type { IncomingRecord, OutgoingRecord } from './client-port.js';
import { routeNamedBy } from './names.js';

/** The metadata of a message, in headers that foreign clients can set and read. */
export const property = {
  id: 'message-id',
  type: 'message-type',
  contentType: 'content-type',
  contentEncoding: 'content-encoding',
  correlationId: 'correlation-id',
  replyTo: 'reply-to',
  appId: 'app-id',
  timestamp: 'timestamp',
  priority: 'priority',
} as const satisfies Record<EnvelopeField, string>;

/** The route that a message was published by. */
export const ROUTE_HEADER = 'message-route';
/** It is a dead letter: it came by no route and by no name of a queue. */
const DEAD_HEADER = 'messaging-kafka-dead';

const reserved = new ReservedNames({ ...property, route: ROUTE_HEADER }, 'messaging-kafka-');

class HeaderTexts extends TextHeaders implements EnvelopeWriter {
  readonly headers: Record<string, string | string[]> = {};

  constructor() {
    super(reserved);
  }

  line(name: string, text: string): void {
    const there = this.headers[name];
    this.headers[name] = there === undefined ? text : [...(Array.isArray(there) ? there : [there]), text];
  }

  property(name: EnvelopeField, value: string | number | undefined): void {
    if (value !== undefined) this.text(property[name], value);
  }
}

/** @throws SerializationError for what cannot be written */
export function encode({ message, to }: Outgoing, topic: string): OutgoingRecord {
  const { headers, body } = message;
  const problem = unsendable(headers);
  if (problem) throw problem;
  const texts = new HeaderTexts();
  writeEnvelope(message, texts, (to.kind === 'route' ? message.properties.type : typeOf(message)) || undefined);
  for (const name of Object.keys(headers)) texts.header(name, headers[name]);
  const kept = keptRoute(message, to);
  if (kept !== undefined) texts.line(header.originRoute, kept);
  if (to.kind === 'route') texts.text(ROUTE_HEADER, to.route);
  if (to.kind === 'dead-letter') texts.line(DEAD_HEADER, 'true');
  texts.endTypes();
  const key = headers[header.key];
  return { topic, key: typeof key === 'string' ? keyShownAs(key) : null, value: body, headers: texts.headers };
}

/** How a record came to a queue. */
export interface Decoded {
  readonly message: WireMessage;
  readonly direct: boolean;
  readonly topic?: string;
}

/** `queueTopic`: of what is sent to the queue by its name. */
export function decode(record: IncomingRecord, queue: string, queueTopic: string): Decoded {
  const found: Record<string, string> = {};
  const headers = headersOf(record, found);
  const byName = record.topic === queueTopic;
  const dead = byName && found[DEAD_HEADER] !== undefined;
  const route = byName ? routeOf(headers, found.type, queue) : routeIn(record, found);
  if (record.key && headers[header.key] === undefined) headers[header.key] = shown(record.key);
  const body = record.value ?? Buffer.alloc(0);
  return {
    message: { id: found.id ?? '', route, body, headers, properties: readProperties(found, route) },
    direct: byName && !dead,
    ...(!byName || dead ? { topic: routeNamedBy(record.topic).topic } : {}),
  };
}

/** The route of a record of a topic with routes. One that says none, of a foreign publisher, has its type or its topic. */
function routeOfRecord({ headers, topic }: Pick<IncomingRecord, 'headers' | 'topic'>): string {
  const said = first(headers[ROUTE_HEADER]) ?? first(headers[property.type]);
  return said === undefined || said.length === 0 ? routeNamedBy(topic).route : said.toString();
}

/** Routes that were looked at: mostly the same few come again and again. */
const MOST_KNOWN = 1_000;

/** Patterns are held against the route of a record when it is read; what is sent to the queue by its name is always taken. */
export function takenBy(
  { patterns }: Pick<Topology, 'patterns'>,
  queueTopic: string,
): (record: IncomingRecord) => boolean {
  const matchers = patterns.map(compilePattern);
  const known = new Map<string, boolean>();
  return (record) => {
    if (record.topic === queueTopic) return true;
    const route = routeOfRecord(record);
    let isTaken = known.get(route);
    if (isTaken === undefined) {
      const words = wordsOf(route);
      isTaken = matchers.some((matches) => matches(words));
      if (known.size < MOST_KNOWN) known.set(route, isTaken);
    }
    return isTaken;
  };
}

function routeIn({ topic }: IncomingRecord, found: Readonly<Record<string, string>>): string {
  return found.route || found.type || routeNamedBy(topic).route;
}

/** The headers of applications; those with a meaning are put into `found`. */
function headersOf({ headers: raw }: IncomingRecord, found: Record<string, string>): Record<string, HeaderValue> {
  const types = parseTypes(first(raw[TYPES_HEADER])?.toString());
  const headers: Record<string, HeaderValue> = {};
  for (const name of Object.keys(raw)) {
    const meaning = reserved.meaningOf(name);
    if (meaning !== undefined) found[meaning || name] = first(raw[name])?.toString() ?? '';
    else if (name !== TYPES_HEADER) put(headers, name, raw[name], types);
  }
  return headers;
}

function put(
  headers: Record<string, HeaderValue>,
  name: string,
  value: IncomingRecord['headers'][string],
  types: ReturnType<typeof parseTypes>,
): void {
  if (Array.isArray(value)) return putHeader(headers, name, value.map(String), types);
  const text = textOrBytes(value ?? '');
  if (typeof text === 'string') putHeader(headers, name, text, types);
  else headers[name] = text;
}

/** Bytes that are no text stay bytes. */
function textOrBytes(value: Buffer | string): string | Buffer {
  const text = value.toString();
  return typeof value !== 'string' && text.includes('\uFFFD') && !isUtf8(value) ? value : text;
}

/** A key that is no text is told as `base64:` and its bytes. */
function shown(key: Buffer): string {
  const text = textOrBytes(key);
  return typeof text === 'string' ? text : `base64:${text.toString('base64')}`;
}

/** The same key as another client wrote it, so that its copies go where it went. */
function keyShownAs(text: string): string | Buffer {
  const bytes = text.startsWith('base64:') ? Buffer.from(text.slice(7), 'base64') : undefined;
  return bytes && shown(bytes) === text ? bytes : text;
}

function first(value: IncomingRecord['headers'][string]): Buffer | string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
