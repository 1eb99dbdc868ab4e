import type { MsgHdrs } from '@nats-io/transport-node';
import { header, stringHeader, type Headers, type HeaderValue } from '../../message/headers.js';
import type { MessageProperties, WireMessage } from '../../message/message.js';
import {
  DEDUPE_HEADER,
  isProperty,
  isServerHeader,
  parseTypes,
  property,
  readHeader,
  TYPES_HEADER,
} from './headers.js';

/** How a message came into a queue, told by its subject. */
export interface Origin {
  readonly direct: boolean;
  readonly topic?: string;
  /** The route in the subject; undefined where the subject holds none. */
  readonly route?: string;
}

const NONE: Headers = Object.freeze({});

export function decode(data: Uint8Array, raw: MsgHdrs | undefined, queue: string, origin: Origin): WireMessage {
  const body = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  if (!raw) return { id: '', route: origin.route ?? queue, body, headers: NONE, properties: {} };
  const texts: Record<string, string> = {};
  const headers = headersOf(raw, texts);
  const type = texts[property.type.toLowerCase()];
  const route = origin.route ?? stringHeader(headers, header.originRoute) ?? (type || queue);
  const id = texts[property.id.toLowerCase()] ?? texts[DEDUPE_HEADER.toLowerCase()] ?? '';
  return { id, route, body, headers, properties: propertiesOf(texts, type, route) };
}

/** The headers of applications; those with a meaning are put into `texts`, in lower case. */
function headersOf(raw: MsgHdrs, texts: Record<string, string>): Headers {
  const types = parseTypes(raw.get(TYPES_HEADER) || undefined);
  const headers: Record<string, HeaderValue> = {};
  for (const [name, values] of raw) {
    if (isProperty(name) || isServerHeader(name)) texts[name.toLowerCase()] = values[0];
    else if (name === TYPES_HEADER) continue;
    else if (values.length > 1) headers[name] = values;
    else {
      const [given, value] = readHeader(name, values[0], types && Object.hasOwn(types, name) ? types[name] : undefined);
      Object.defineProperty(headers, given, { value, enumerable: true, writable: true, configurable: true });
    }
  }
  return headers;
}

type MutableProperties = { -readonly [Name in keyof MessageProperties]: MessageProperties[Name] };

function propertiesOf(
  texts: Readonly<Record<string, string>>,
  type: string | undefined,
  route: string,
): MessageProperties {
  const properties: MutableProperties = {};
  for (const name of ['contentType', 'contentEncoding', 'correlationId', 'replyTo', 'appId'] as const) {
    const text = texts[property[name].toLowerCase()];
    if (text !== undefined) properties[name] = text;
  }
  if (type !== undefined && type !== route) properties.type = type;
  for (const name of ['timestamp', 'priority'] as const) {
    const text = texts[property[name].toLowerCase()];
    if (text !== undefined && /^-?\d+(\.\d+)?$/.test(text)) properties[name] = Number(text);
  }
  return properties;
}
