import type { MsgHdrs } from '@nats-io/transport-node';
import { header, stringHeader, type Headers, type HeaderValue } from '../../message/headers.js';
import type { MessageProperties, WireMessage } from '../../message/message.js';
import { DEDUPE_HEADER, parseTypes, property, readHeader, reservedName, TYPES_HEADER } from './headers.js';

/** How a message came into a queue, told by its subject. */
export interface Origin {
  readonly direct: boolean;
  readonly topic?: string;
  /** The route in the subject; undefined where the subject holds none. */
  readonly route?: string;
}

const NONE: Headers = Object.freeze({});
const DEDUPE = DEDUPE_HEADER.toLowerCase();
const ID = property.id.toLowerCase();
const TYPE = property.type.toLowerCase();
const inLowerCase = <Name extends keyof typeof property>(...names: Name[]): (readonly [Name, string])[] =>
  names.map((name) => [name, property[name].toLowerCase()]);
const TEXTS = inLowerCase('contentType', 'contentEncoding', 'correlationId', 'replyTo', 'appId');
const NUMBERS = inLowerCase('timestamp', 'priority');

export function decode(data: Uint8Array, raw: MsgHdrs | undefined, queue: string, origin: Origin): WireMessage {
  const body = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  if (!raw) return { id: '', route: origin.route ?? queue, body, headers: NONE, properties: {} };
  const texts: Record<string, string> = {};
  const headers = headersOf(raw, texts);
  const type = texts[TYPE];
  const route = origin.route ?? stringHeader(headers, header.originRoute) ?? (type || queue);
  const id = texts[ID] ?? texts[DEDUPE] ?? '';
  return { id, route, body, headers, properties: propertiesOf(texts, type, route) };
}

/** The headers of applications; those with a meaning are put into `texts`, in lower case. */
function headersOf(raw: MsgHdrs, texts: Record<string, string>): Headers {
  const types = parseTypes(raw.get(TYPES_HEADER) || undefined);
  const headers: Record<string, HeaderValue> = {};
  for (const [name, values] of raw) {
    const reserved = reservedName(name);
    if (reserved !== undefined) texts[reserved] = values[0];
    else if (name === TYPES_HEADER) continue;
    else if (values.length > 1) put(headers, name, values);
    else if (!types || !Object.hasOwn(types, name)) put(headers, name, values[0]);
    else put(headers, ...readHeader(name, values[0], types[name]));
  }
  return headers;
}

/** An assignment to «__proto__» would set the prototype; to define every header takes much longer. */
function put(headers: Record<string, HeaderValue>, name: string, value: HeaderValue): void {
  if (name !== '__proto__') headers[name] = value;
  else Object.defineProperty(headers, name, { value, enumerable: true, writable: true, configurable: true });
}

type MutableProperties = { -readonly [Name in keyof MessageProperties]: MessageProperties[Name] };

function propertiesOf(
  texts: Readonly<Record<string, string>>,
  type: string | undefined,
  route: string,
): MessageProperties {
  const properties: MutableProperties = {};
  for (const [name, wireName] of TEXTS) {
    const text = texts[wireName];
    if (text !== undefined) properties[name] = text;
  }
  if (type !== undefined && type !== route) properties.type = type;
  for (const [name, wireName] of NUMBERS) {
    const text = texts[wireName];
    if (text !== undefined && /^-?\d+(\.\d+)?$/.test(text)) properties[name] = Number(text);
  }
  return properties;
}
