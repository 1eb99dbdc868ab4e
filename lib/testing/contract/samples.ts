import assert from 'node:assert/strict';
import type { HeaderValue, Headers } from '../../message/headers.js';
import type { MessageProperties } from '../../message/message.js';

/** Every byte there is: it survives neither a text encoding nor a JSON round trip. */
export const everyByte = Buffer.from(Array.from({ length: 256 }, (_, index) => index));

export const textHeaders: Headers = {
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  'x-tenant': 'Zürich ✓ 東京',
  empty: '',
};

export const typedHeaders: Headers = {
  ...textHeaders,
  yes: true,
  no: false,
  zero: 0,
  small: -7,
  large: 1_234_567_890_123,
  half: 0.5,
  nothing: null,
  bytes: everyByte,
  list: ['a', 1, false, ['deep']],
  nested: { tenant: 'acme', tags: ['x', 'y'], more: { level: 2 } },
  fraction: 2 ** 50 + 0.5,
  lowest: -(2 ** 64),
  when: new Date(1_700_000_000_000),
  marked: { '!': 'a key as any other', list: [{ '!': 1 }] },
};

export const allProperties: MessageProperties = {
  contentType: 'application/json',
  contentEncoding: 'utf-8',
  correlationId: 'correlation-1',
  replyTo: 'answers',
  appId: 'contract',
  timestamp: 1_700_000_000,
  priority: 3,
};

/** Equal bytes; the message of a failure does not print a megabyte. */
export function assertSameBody(actual: Buffer, expected: Buffer): void {
  assert.equal(actual.length, expected.length, 'length of the body');
  assert.ok(actual.equals(expected), 'the bytes of the body have changed');
}

export function assertSameHeaders(actual: Headers, expected: Headers): void {
  assert.deepEqual(comparable(actual), comparable(expected));
}

/** Every expected header is there; the broker may have added its own. */
export function assertContainsHeaders(actual: Headers, expected: Headers): void {
  const kept = Object.fromEntries(Object.keys(expected).map((name) => [name, actual[name]]));
  assertSameHeaders(kept, expected);
}

export function assertSameProperties(actual: MessageProperties, expected: MessageProperties): void {
  const given = (properties: MessageProperties): object =>
    Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined));
  assert.deepEqual(given(actual), given(expected));
}

/** Byte arrays of any class compare as what they hold. */
function comparable(value: HeaderValue): unknown {
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('hex') };
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, comparable(inner)]));
}

/** Changes everything in a value that can be changed: bytes, and what objects and lists hold. */
export function overwrite(value: unknown): void {
  if (value instanceof Uint8Array) value.fill(0);
  else if (typeof value === 'object' && value !== null)
    for (const name of Object.keys(value)) {
      overwrite((value as Record<string, unknown>)[name]);
      Reflect.set(value, name, 'overwritten');
    }
}

/** As `overwrite`, for a client's own message: only what holds the message, by the names that clients give that. */
export function overwriteRaw(raw: unknown): void {
  const { content, data, body, properties, headers } = raw as Readonly<Record<string, unknown>>;
  for (const part of [content, data, body, properties]) overwrite(part);
  if (headers && typeof (headers as { set?: unknown }).set !== 'function') overwrite(headers);
}

/** The values in an order of their own, for comparing what has none. */
export function sorted(values: Iterable<string>): string[] {
  return [...values].sort();
}

export function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
