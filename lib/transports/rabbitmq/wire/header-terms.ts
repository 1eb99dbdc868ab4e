import { SerializationError } from '../../../errors/publish-errors.js';
import type { Headers, HeaderValue } from '../../../message/headers.js';

/*
 * amqplib writes texts, numbers, booleans, null, Buffers, arrays and tables as they are. An own member `!` of a table names
 * a type that JavaScript does not have: `{ '!': 'timestamp', value: 12 }`. It guesses the types of numbers, and some of
 * its guesses it cannot write.
 */

const MAX_INT64 = 2 ** 63;
/** From here on amqplib takes a double for a whole number. */
const LARGE = 2 ** 50;
/** AMQP's timestamps are seconds in 64 bits without a sign; this is the largest that a double holds. */
const MAX_TIMESTAMP = 2 ** 64 - 2 ** 11;
/** The last second that a Date holds. */
const LAST_SECOND = 8_640_000_000_000;

/** The headers in amqplib's terms: the same object where they are in them. @throws SerializationError */
export function toTerms(headers: Headers): Headers {
  for (const name in headers) if (isForeign(headers[name])) return tableToTerms(headers);
  return headers;
}

/** The headers that amqplib read: the same object where nothing in them is in its terms. */
export function fromTerms(headers: Headers): Headers {
  for (const name in headers) if (holdsTimestamp(headers[name])) return tableFromTerms(headers);
  return headers;
}

/** The property `timestamp`, which amqplib reads less exactly than it is. */
export function writableTimestamp(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : Math.min(seconds, MAX_TIMESTAMP);
}

function isForeign(value: HeaderValue): boolean {
  if (typeof value === 'number') return !isWrittenAsItIs(value);
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return false;
  if (value instanceof Date || value instanceof Uint8Array) return true;
  if (Array.isArray(value)) return value.some(isForeign);
  return Object.hasOwn(value, '!') || Object.values(value as Headers).some(isForeign);
}

function isWrittenAsItIs(value: number): boolean {
  if (value > -LARGE && value < LARGE) return value !== 0 || !Object.is(value, -0);
  return Number.isInteger(value) && value >= -MAX_INT64;
}

function tableToTerms(table: Headers): Headers {
  return Object.fromEntries(Object.entries(table).map(([name, value]) => [name, toTerm(value)]));
}

function toTerm(value: HeaderValue): HeaderValue {
  if (typeof value === 'number') return numberToTerm(value);
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value;
  if (value instanceof Date) return dateToTerm(value);
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (Array.isArray(value)) return value.map(toTerm);
  if (isTimestamp(value)) return { '!': 'timestamp', value: writableTimestamp(value.value) };
  if (isDecimal(value)) return value;
  const table = tableToTerms(value as Headers);
  // What is inherited is written, but not taken for the name of a type.
  return Object.hasOwn(table, '!') ? (Object.create(table) as Headers) : table;
}

function numberToTerm(value: number): HeaderValue {
  if (!Number.isFinite(value)) throw new SerializationError(`A header holds ${value}, which RabbitMQ cannot read`);
  return isWrittenAsItIs(value) ? value : { '!': 'double', value };
}

/** Timestamps have whole seconds from 1970 on; any other date is its text. */
function dateToTerm(date: Date): HeaderValue {
  const time = date.getTime();
  if (Number.isNaN(time)) throw new SerializationError('A header holds an invalid date');
  return time >= 0 && time % 1_000 === 0 ? { '!': 'timestamp', value: time / 1_000 } : date.toISOString();
}

interface Timestamp {
  readonly '!': 'timestamp';
  readonly value: number;
}

function isTimestamp(value: unknown): value is Timestamp {
  const { '!': type, value: seconds } = value as Partial<Timestamp>;
  return (
    type === 'timestamp' && typeof seconds === 'number' && seconds >= 0 && Object.keys(value as object).length === 2
  );
}

function isDecimal(value: unknown): boolean {
  const { '!': type, value: decimal } = value as {
    '!'?: unknown;
    value?: { places?: unknown; digits?: unknown } | null;
  };
  return (
    type === 'decimal' &&
    isUnsigned(decimal?.places, 2 ** 8) &&
    isUnsigned(decimal?.digits, 2 ** 32) &&
    Object.keys(value as object).length === 2
  );
}

function isUnsigned(value: unknown, below: number): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < below;
}

function holdsTimestamp(value: HeaderValue): boolean {
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return false;
  if (Array.isArray(value)) return value.some(holdsTimestamp);
  return isTimestamp(value) || Object.values(value as Headers).some(holdsTimestamp);
}

function tableFromTerms(table: Headers): Headers {
  return Object.fromEntries(Object.entries(table).map(([name, value]) => [name, fromTerm(value)]));
}

function fromTerm(value: HeaderValue): HeaderValue {
  if (!holdsTimestamp(value)) return value;
  if (Array.isArray(value)) return value.map(fromTerm);
  if (!isTimestamp(value)) return tableFromTerms(value as Headers);
  return value.value <= LAST_SECOND ? new Date(value.value * 1_000) : value;
}
