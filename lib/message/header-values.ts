import { types } from 'node:util';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { SerializationError } from '../errors/publish-errors.js';
import type { HeaderValue, Headers } from './headers.js';

/** Lists and objects nested deeper than this are refused: one that holds itself has no end. */
const MAX_DEPTH = 64;
const MAX_NAME_BYTES = 255;
const ALLOWED = 'a text, finite number, boolean, null, date, bytes, or an array or plain object of these';

/** @throws InvalidOptionError for what no broker can carry as the name of a header */
export function checkHeaderName(name: string, option = 'headers'): void {
  if (name === '' || name === '__proto__' || Buffer.byteLength(name) > MAX_NAME_BYTES)
    throw new InvalidOptionError(option, name, 'names of 1 to 255 bytes other than «__proto__»');
}

/**
 * What an application gave as a header, as every transport carries it: a date as its ISO 8601 text; bytes, lists and objects
 * as copies; undefined as JSON has it.
 * @throws SerializationError for a number or date that is not finite, or what has no end; InvalidOptionError for any other
 * type that would arrive as something else
 */
export function headerValue(name: string, value: unknown, depth = 0): HeaderValue {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'undefined':
      return value;
    case 'number':
      return finite(name, value);
    case 'object':
      return value === null ? null : objectValue(name, value, depth);
    default:
      throw new InvalidOptionError(`headers['${name}']`, value, ALLOWED);
  }
}

function objectValue(name: string, value: object, depth: number): HeaderValue {
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (types.isDate(value)) return isoText(name, value);
  if (depth >= MAX_DEPTH)
    throw new SerializationError(`The header «${name}» is nested deeper than ${MAX_DEPTH} levels`);
  if (Array.isArray(value)) return value.map((part) => headerValue(name, part, depth + 1) ?? null);
  if (!isPlain(value)) throw new InvalidOptionError(`headers['${name}']`, value, ALLOWED);
  const table: Record<string, HeaderValue> = {};
  for (const [key, part] of Object.entries(value)) {
    checkHeaderName(key);
    const inner = headerValue(name, part, depth + 1);
    if (inner !== undefined) table[key] = inner;
  }
  return table;
}

/** A Map, a Set, an instance of a class would lose what makes it one. */
export function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function finite(name: string, value: number): number {
  if (!Number.isFinite(value))
    throw new SerializationError(`The header «${name}» holds ${value}, which has no form on the wire`);
  return value;
}

function isoText(name: string, value: Date): string {
  finite(name, value.getTime());
  return value.toISOString();
}

/**
 * Why headers cannot be sent anywhere: a number or date in them is not finite. For transports: what comes from a broker or
 * from the disk has not gone through `headerValue`.
 */
export function unsendable(headers: Headers): SerializationError | undefined {
  for (const name in headers) {
    const value = headers[name];
    if (typeof value === 'string' || isSendable(value)) continue;
    return new SerializationError(`The header «${name}» holds a number or date that is not finite`);
  }
  return undefined;
}

function isSendable(value: HeaderValue): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return true;
  if (value instanceof Date) return Number.isFinite(value.getTime());
  return Array.isArray(value) ? value.every(isSendable) : Object.values(value as Headers).every(isSendable);
}
