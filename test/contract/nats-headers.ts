import { headers, type MsgHdrs } from '@nats-io/transport-node';
import type { Headers, HeaderValue } from '../../lib/message/headers.js';
import type { MessageProperties } from '../../lib/message/message.js';

/** What a plain client does that follows docs/wire.md, with none of the package's code. */

const propertyNames = {
  contentType: 'Content-Type',
  contentEncoding: 'Content-Encoding',
  correlationId: 'Correlation-Id',
  replyTo: 'Reply-To',
  appId: 'App-Id',
  type: 'Message-Type',
  timestamp: 'Timestamp',
  priority: 'Priority',
} as const;

export function plainHeaders(
  id: string | undefined,
  given: Headers,
  properties: MessageProperties,
): MsgHdrs | undefined {
  const result = headers();
  const types: Record<string, string> = {};
  if (id !== undefined) result.set('Message-Id', id);
  for (const [name, header] of Object.entries(propertyNames)) {
    const value = properties[name as keyof MessageProperties];
    if (value !== undefined) result.set(header, String(value));
  }
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === 'string') {
      result.set(name, value);
      continue;
    }
    const [type, text] = written(value);
    types[name] = type;
    result.set(name, text);
  }
  if (Object.keys(types).length > 0) result.set('messaging-types', JSON.stringify(types));
  return result.keys().length > 0 ? result : undefined;
}

export function readPlain(found: MsgHdrs | undefined): {
  id?: string;
  headers: Headers;
  properties: MessageProperties;
} {
  if (!found) return { headers: {}, properties: {} };
  const types = JSON.parse(found.get('messaging-types') || '{}') as Record<string, string>;
  const known = new Map(Object.entries(propertyNames).map(([name, header]) => [header as string, name]));
  const read: Record<string, HeaderValue> = {};
  const properties: Record<string, unknown> = {};
  for (const [name, [text]] of found) {
    const property = known.get(name);
    if (property) properties[property] = ['timestamp', 'priority'].includes(property) ? Number(text) : text;
    else if (!name.startsWith('Nats-') && !['Message-Id', 'messaging-types'].includes(name))
      read[name] = value(text, types[name]);
  }
  return { id: found.get('Message-Id'), headers: read, properties: properties };
}

export function written(value: HeaderValue): [type: string, text: string] {
  if (value === null) return ['null', 'null'];
  if (value instanceof Uint8Array) return ['bytes', Buffer.from(value).toString('base64')];
  if (value instanceof Date) return ['date', value.toISOString()];
  return typeof value === 'object' ? ['json', JSON.stringify(value)] : [typeof value, String(value)];
}

export function value(text: string, type: string | undefined): HeaderValue {
  if (type === undefined) return text;
  if (type === 'bytes') return Buffer.from(text, 'base64');
  if (type === 'date') return new Date(text);
  return JSON.parse(text) as HeaderValue;
}
