import type { Headers, HeaderValue } from '../../message/headers.js';
import type { WireMessage } from '../../message/message.js';

/**
 * A copy that shares nothing changeable with its origin. Applied on the way in and on the way out: what a publisher
 * does to its Buffer afterwards, or a handler to the one it got, changes neither a redelivery nor another queue's copy.
 */
export function isolate(message: WireMessage): WireMessage {
  const { id, route, body, headers, properties } = message;
  return Object.freeze({
    id,
    route,
    body: Buffer.from(body),
    headers: isolateHeaders(headers),
    properties: Object.isFrozen(properties) ? properties : Object.freeze({ ...properties }),
  });
}

function isolateHeaders(headers: Headers): Headers {
  let flat = true;
  for (const name in headers) {
    if (typeof headers[name] === 'object' && headers[name] !== null) flat = false;
  }
  if (!flat) return isolateValue(headers) as Headers;
  return Object.isFrozen(headers) ? headers : Object.freeze({ ...headers });
}

function isolateValue(value: HeaderValue): HeaderValue {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (value instanceof Date) return new Date(value);
  if (Array.isArray(value)) return Object.freeze(value.map(isolateValue));
  return Object.freeze(Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, isolateValue(inner)])));
}
