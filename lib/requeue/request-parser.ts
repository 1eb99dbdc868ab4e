import type { MessagingError } from '../errors/messaging-error.js';
import { DELIVERY_HEADERS, HEADER_PREFIX, REQUEST_HEADERS } from './requeue-headers.js';
import { type BackoffNumbers, backoffOf, type RequeueMeta } from './requeue-meta.js';
import { RequeueRefusedError } from './refusal.js';
import { type IngressSubject, isPublishSubject } from './subject.js';

export const DEFAULT_QUEUE = 'default';
/** Queues whose names begin so are the service's own. */
export const OWN_QUEUE_PREFIX = '$';

/** A hundred years: beyond, sums of times are no whole numbers any more. */
const MAX_MS = 100 * 365 * 86_400_000;
const MAX_NAME_BYTES = 255;

/** A message as its sender wants it treated. */
export interface RequeueRequest {
  readonly queue: string;
  /** Undefined: the service gives the message one. */
  readonly id: string | undefined;
  readonly priority: number;
  readonly delay: number;
  readonly ttl: number | undefined;
  readonly meta: RequeueMeta;
}

/** The part of a NATS client's headers that is used. */
export interface ReadableHeaders {
  keys(): string[];
  values(name: string): string[];
}

type RequestHeader = keyof typeof REQUEST_HEADERS;

const BY_NAME = new Map<string, RequestHeader>(
  Object.entries(REQUEST_HEADERS).map(([key, name]) => [name.toLowerCase(), key as RequestHeader]),
);
const IGNORED = new Set(Object.values(DELIVERY_HEADERS).map((name) => name.toLowerCase()));
const PREFIX = HEADER_PREFIX.toLowerCase();

/** Any header of ours. */
export function hasRequeueHeader(headers: ReadableHeaders | undefined): boolean {
  return headers !== undefined && headers.keys().some((name) => name.toLowerCase().startsWith(PREFIX));
}

/** @throws RequeueRefusedError */
export function parseRequest(
  subject: string,
  headers: ReadableHeaders | undefined,
  ingress: IngressSubject,
): RequeueRequest {
  const given = new Map<RequestHeader, string>();
  const own: (readonly [string, readonly string[]])[] = [];
  for (const name of headers?.keys() ?? []) {
    const lower = name.toLowerCase();
    const values = headers!.values(name);
    if (!lower.startsWith(PREFIX)) {
      own.push([name, values]);
      continue;
    }
    const key = BY_NAME.get(lower);
    if (key) {
      if (values.length !== 1 || given.has(key)) invalid(name, values.join(', '), 'one value');
      given.set(key, values[0]);
    } else if (!IGNORED.has(lower)) {
      throw new RequeueRefusedError(
        'invalid-header',
        `There is no header «${name}»; there are: ${Object.values(REQUEST_HEADERS).join(', ')}`,
      );
    }
  }
  const delay = milliseconds(given, 'delay', 0) ?? 0;
  const ttl = milliseconds(given, 'ttl', 1);
  if (ttl !== undefined && ttl <= delay)
    throw new RequeueRefusedError(
      'invalid-header',
      `With ${header('ttl')} ${ttl} and ${header('delay')} ${delay} it would never be sent`,
    );
  const priority = whole(given, 'priority', 0, 9) ?? 0;
  const meta: RequeueMeta = {
    subject: originalSubject(subject, given.get('subject'), ingress),
    headers: own,
    attempts: whole(given, 'attempts', 1, Number.MAX_SAFE_INTEGER),
    priority: priority || undefined,
    ttl,
    backoff: backoffNumbers(given),
  };
  return { queue: queueName(given.get('queue')), id: id(given.get('id')), priority, delay, ttl, meta };
}

function originalSubject(subject: string, given: string | undefined, ingress: IngressSubject): string {
  const original = given ?? ingress.strip(subject);
  if (original === undefined)
    throw new RequeueRefusedError(
      'missing-subject',
      `${header('subject')} is missing, and nothing is left of «${subject}» without the prefix of «${ingress.pattern}»`,
    );
  if (!isPublishSubject(original))
    throw new RequeueRefusedError('invalid-subject', `Nothing can be sent to «${shorten(original)}»`);
  if (ingress.matches(original))
    throw new RequeueRefusedError(
      'loop',
      `«${original}» matches «${ingress.pattern}»: the message would come back to this service for ever`,
    );
  return original;
}

function queueName(given: string | undefined): string {
  if (given === undefined) return DEFAULT_QUEUE;
  if (!isName(given) || given.startsWith(OWN_QUEUE_PREFIX))
    invalid(header('queue'), given, `1 to ${MAX_NAME_BYTES} bytes, not beginning with «${OWN_QUEUE_PREFIX}»`);
  return given;
}

function id(given: string | undefined): string | undefined {
  if (given !== undefined && !isName(given)) invalid(header('id'), given, `1 to ${MAX_NAME_BYTES} bytes`);
  return given;
}

function isName(text: string): boolean {
  // eslint-disable-next-line no-control-regex
  return text !== '' && Buffer.byteLength(text) <= MAX_NAME_BYTES && !/[\u0000-\u001f\u007f]/.test(text);
}

function backoffNumbers(given: ReadonlyMap<RequestHeader, string>): BackoffNumbers | undefined {
  const type = given.get('backoff');
  if (type !== undefined && type !== 'fixed' && type !== 'exponential')
    invalid(header('backoff'), type, '«fixed» or «exponential»');
  for (const key of ['backoffFactor', 'backoffMax'] as const)
    if (type === 'fixed' && given.has(key)) invalid(header(key), given.get(key)!, 'nothing: the backoff is fixed');
  const numbers: BackoffNumbers = {
    type,
    initial: milliseconds(given, 'backoffInitial', 0),
    factor: decimal(given, 'backoffFactor', 1, 1_000),
    max: milliseconds(given, 'backoffMax', 0),
    jitter: decimal(given, 'backoffJitter', 0, 1),
  };
  if (Object.values(numbers).every((value) => value === undefined)) return undefined;
  const clean = Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== undefined));
  try {
    backoffOf(clean);
  } catch (error) {
    throw new RequeueRefusedError('invalid-header', (error as MessagingError).message);
  }
  return clean;
}

function milliseconds(given: ReadonlyMap<RequestHeader, string>, key: RequestHeader, min: number): number | undefined {
  return whole(given, key, min, MAX_MS, 'whole milliseconds');
}

function whole(
  given: ReadonlyMap<RequestHeader, string>,
  key: RequestHeader,
  min: number,
  max: number,
  what = 'a whole number',
): number | undefined {
  const text = given.get(key);
  if (text === undefined) return undefined;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (!(value >= min && value <= max)) invalid(header(key), text, `${what}, ${min} to ${max}`);
  return value;
}

function decimal(
  given: ReadonlyMap<RequestHeader, string>,
  key: RequestHeader,
  min: number,
  max: number,
): number | undefined {
  const text = given.get(key);
  if (text === undefined) return undefined;
  const value = /^\d{1,9}(\.\d{1,9})?$/.test(text) ? Number(text) : NaN;
  if (!(value >= min && value <= max)) invalid(header(key), text, `a number, ${min} to ${max}`);
  return value;
}

function header(key: RequestHeader): string {
  return REQUEST_HEADERS[key];
}

function invalid(name: string, value: string, allowed: string): never {
  throw new RequeueRefusedError('invalid-header', `${name} is «${shorten(value)}»; allowed: ${allowed}`);
}

function shorten(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
