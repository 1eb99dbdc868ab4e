import { isPlain } from './header-values.js';
import type { Headers, HeaderValue } from './headers.js';
import type { WireMessage } from './message.js';

/** So deep that the stack suffices; what fits into a message of 60 KiB of headers is hardly ever so deep. */
const MAX_DEPTH = 1_000;

/**
 * A copy that shares nothing changeable with its origin. The embedded broker applies it on the way in and on the way out:
 * what is done to one of them afterwards changes neither a redelivery nor another queue's copy.
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

/** Frozen at every depth; bytes and dates, which cannot be frozen, are copies. */
export function isolateHeaders(headers: Headers): Headers {
  let flat = true;
  for (const name in headers) {
    if (typeof headers[name] === 'object' && headers[name] !== null) flat = false;
  }
  if (!flat) return isolateHeader({ ...headers }) as Headers;
  return Object.isFrozen(headers) ? headers : Object.freeze({ ...headers });
}

/** What is no header value, or has no end, is left as it is: who checks it refuses it. */
function isolateHeader(value: HeaderValue, depth = 0): HeaderValue {
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return value;
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (value instanceof Date) return new Date(value);
  if (Array.isArray(value)) return Object.freeze(value.map((part: HeaderValue) => isolateHeader(part, depth + 1)));
  if (!isPlain(value)) return value;
  const parts = Object.entries(value).map(([name, part]) => [name, isolateHeader(part, depth + 1)] as const);
  return Object.freeze(Object.fromEntries(parts));
}

/**
 * A message for application code, which may keep it and do with it what it likes: the message itself, and so its retry and its
 * dead letter, stays as it came. What is never asked for is not copied.
 */
export function viewOf(message: WireMessage): WireMessage {
  const { id, route } = message;
  let body: Buffer | undefined;
  let headers: Headers | undefined;
  return {
    id,
    route,
    get body() {
      return (body ??= Buffer.from(message.body));
    },
    get headers() {
      return (headers ??= isolateHeaders(message.headers));
    },
    get properties() {
      return Object.freeze(message.properties);
    },
  };
}
