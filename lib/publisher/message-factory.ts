import type { Clock } from '../clock/clock.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { MessagingError } from '../errors/messaging-error.js';
import {
  checkBoolean,
  checkShortText,
  integerBetween,
  knownKeys,
  numberBetween,
  oneOf,
} from '../errors/option-checks.js';
import { MessageTooLargeError, SerializationError } from '../errors/publish-errors.js';
import { errorMessage } from '../errors/redact.js';
import { invalidResult } from '../errors/result-checks.js';
import { thrownValue } from '../errors/thrown-value.js';
import { checkHeaderName, headerValue } from '../message/header-values.js';
import { HEADER_PREFIX, WIRE_VERSION, header, type HeaderValue, type Headers } from '../message/headers.js';
import { newMessageId } from '../message/message-id.js';
import type { MessageProperties, WireMessage } from '../message/message.js';
import { jsonSerializer, type SerializedPayload, type Serializer } from '../message/serializer.js';
import type { PublishTrace } from '../pipeline/telemetry.js';
import { type Backoff, type BackoffSchedule, fixed, scheduleOf } from '../retry/backoff.js';
import type { Destination } from '../transport/outgoing.js';
import { Publication, type QueuePolicy } from './publication.js';
import type { PublishOptions, UnroutablePolicy } from './publish-options.js';

export interface MessageFactoryOptions {
  readonly serializer: Serializer;
  readonly clock: Clock;
  readonly unroutable: UnroutablePolicy;
  readonly maxBytes: number;
  readonly maxDelayMs: number;
  /** Delayed messages wait in the retry queue instead of at the broker. Default: where the broker cannot delay. */
  readonly holdDelayed?: boolean;
}

const POLICIES = ['reject', 'queue', 'ignore'] as const;
export const PUBLISH_OPTION_NAMES: readonly (keyof PublishOptions)[] = [
  'id',
  'key',
  'headers',
  'topic',
  'delay',
  'at',
  'ttl',
  'attempts',
  'backoff',
  'priority',
  'unroutable',
  'ordered',
  'correlationId',
  'replyTo',
];
/** Brokers and clients have such limits of their own, and copies carry more headers than their originals. */
const MAX_HEADER_BYTES = 60 * 1024;
const MAX_TTL_MS = 2 ** 45;
const MAX_HOLD_MS = 2 ** 45;

/** What most publishes have: nothing to check. */
export const NO_OPTIONS: PublishOptions = Object.freeze({});

/** Makes publications out of what callers pass: checks it, serialises it once, gives it its id and headers. */
export class MessageFactory {
  constructor(private readonly options: MessageFactoryOptions) {}

  /** `serialized`: the payload, where that was done before. @throws InvalidOptionError, SerializationError, MessageTooLargeError */
  create(
    to: Destination,
    route: string,
    payload: unknown,
    options: PublishOptions,
    trace?: PublishTrace,
    serialized?: SerializedPayload,
  ): Publication {
    const { clock, unroutable } = this.options;
    const now = clock.now();
    if (options === NO_OPTIONS) {
      const { body, contentType } = serialized ?? this.serialize(payload);
      const id = newMessageId(now);
      const headers = { [header.time]: now, [header.version]: WIRE_VERSION };
      trace?.inject(id, headers);
      const message = { id, route, body, headers, properties: onlyContentType(contentType) };
      return new Publication(to, message, undefined, unroutable, false);
    }
    knownKeys('options', options, PUBLISH_OPTION_NAMES);
    const id = options.id === undefined ? newMessageId(now) : checkShortText('id', options.id);
    const { body, contentType } = serialized ?? this.serialize(payload);
    const headers = this.headers(options, now);
    trace?.inject(id, headers, options.correlationId);
    const headerBytes = options.headers === undefined ? 0 : sizeOf(headers);
    if (headerBytes > MAX_HEADER_BYTES)
      throw new MessageTooLargeError(`The headers take ${headerBytes} bytes; ${MAX_HEADER_BYTES} are taken at most`);
    const message: WireMessage = { id, route, body, headers, properties: propertiesOf(options, contentType) };
    const dueAt = this.dueAt(options, now);
    const holdUntil = this.holdDelayed ? dueAt : undefined;
    return new Publication(
      to,
      message,
      holdUntil === undefined ? dueAt : undefined,
      options.unroutable === undefined ? unroutable : oneOf('unroutable', options.unroutable, POLICIES),
      this.ordered(options),
      headerBytes,
      queuePolicy(options, holdUntil),
      // Two publishes with one id are two messages: a broker that de-duplicates must only recognise resends.
      options.id === undefined ? id : `${id}:${newMessageId(now)}`,
    );
  }

  private get holdDelayed(): boolean {
    return this.options.holdDelayed === true || this.options.maxDelayMs === 0;
  }

  /** A copy: what is done to the payload afterwards is not in it. @throws SerializationError, MessageTooLargeError */
  serialize(payload: unknown): SerializedPayload {
    const { serializer, maxBytes } = this.options;
    let serialized: SerializedPayload;
    try {
      serialized = serializer.serialize(payload);
    } catch (thrown) {
      const cause = thrownValue(thrown);
      throw cause instanceof MessagingError
        ? cause
        : new SerializationError(`The serializer failed: ${errorMessage(cause)}`, { cause });
    }
    const body: unknown = serialized?.body;
    if (!Buffer.isBuffer(body))
      throw new SerializationError(
        invalidResult('«serializer.serialize»', serialized, '{ body } with a Buffer').message,
      );
    const { length } = body;
    if (length > maxBytes)
      throw new MessageTooLargeError(`The body has ${length} bytes; the transport takes ${maxBytes} at most`);
    // The body of the default is a copy already; another serializer may write the next one into the same buffer.
    return serializer === jsonSerializer ? serialized : { ...serialized, body: Buffer.from(body) };
  }

  private headers(options: PublishOptions, now: number): Record<string, HeaderValue> {
    const headers: Record<string, HeaderValue> = {};
    if (options.headers !== undefined) copyHeaders(options.headers, headers);
    headers[header.time] = now;
    headers[header.version] = WIRE_VERSION;
    if (options.key !== undefined) headers[header.key] = checkShortText('key', options.key);
    // Times in headers are whole milliseconds.
    if (options.ttl !== undefined)
      headers[header.expiresAt] = now + Math.ceil(numberBetween('ttl', options.ttl, 1, MAX_TTL_MS));
    return headers;
  }

  private dueAt({ delay, at }: PublishOptions, now: number): number | undefined {
    if (delay === undefined && at === undefined) return undefined;
    if (delay !== undefined && at !== undefined) throw new InvalidOptionError('at', at, 'either «delay» or «at»');
    const maxDelayMs = this.holdDelayed ? MAX_HOLD_MS : this.options.maxDelayMs;
    if (at === undefined) return now + Math.ceil(numberBetween('delay', delay, 0, maxDelayMs));
    return Math.ceil(numberBetween('at', at instanceof Date ? at.getTime() : at, 0, now + maxDelayMs));
  }

  private ordered({ ordered = false, key }: PublishOptions): boolean {
    checkBoolean('ordered', ordered);
    if (ordered && key === undefined) throw new InvalidOptionError('ordered', true, '«ordered» needs a «key»');
    return ordered;
  }
}

function propertiesOf({ correlationId, replyTo }: PublishOptions, contentType: string | undefined): MessageProperties {
  if (correlationId === undefined && replyTo === undefined) return onlyContentType(contentType);
  return {
    ...(contentType !== undefined && { contentType }),
    ...(correlationId !== undefined && { correlationId: checkShortText('correlationId', correlationId) }),
    ...(replyTo !== undefined && { replyTo: checkShortText('replyTo', replyTo) }),
  };
}

/** Undefined: as nearly all messages are treated. */
function queuePolicy(options: PublishOptions, holdUntil: number | undefined): QueuePolicy | undefined {
  const { attempts, backoff, priority } = options;
  if (holdUntil === undefined && attempts === undefined && backoff === undefined && priority === undefined)
    return undefined;
  return {
    holdUntil,
    priority: priority === undefined ? 0 : integerBetween('priority', priority, 0, 9),
    maxAttempts: attempts === undefined ? undefined : integerBetween('attempts', attempts, 1, Number.MAX_SAFE_INTEGER),
    backoff: backoff === undefined ? undefined : schedule(backoff),
  };
}

function schedule(backoff: Backoff | number): BackoffSchedule {
  const known = scheduleOf(typeof backoff === 'number' ? fixed(backoff) : backoff);
  if (!known)
    throw new InvalidOptionError(
      'backoff',
      backoff,
      'fixed(ms), exponential({…}) or a number of milliseconds: a function of your own cannot be kept with the message',
    );
  return known;
}

let lastProperties: MessageProperties = {};

/** Nearly all messages have the same content type, so they share one object. */
function onlyContentType(contentType: string | undefined): MessageProperties {
  if (lastProperties.contentType !== contentType)
    lastProperties = Object.freeze(contentType === undefined ? {} : { contentType });
  return lastProperties;
}

function copyHeaders(from: Headers, to: Record<string, unknown>): void {
  if (typeof from !== 'object' || from === null || Array.isArray(from))
    throw new InvalidOptionError('headers', from, 'an object of header values');
  for (const name of Object.keys(from)) {
    if (name.startsWith(HEADER_PREFIX))
      throw new InvalidOptionError(
        `headers['${name}']`,
        from[name],
        `names that do not begin with «${HEADER_PREFIX}», which are ours`,
      );
    checkHeaderName(name);
    const value = headerValue(name, from[name]);
    if (value !== undefined) to[name] = value;
  }
}

/** About how many bytes a header value takes on the wire. */
function sizeOf(value: HeaderValue | Headers): number {
  if (typeof value === 'string') return Buffer.byteLength(value) + 4;
  if (value instanceof Uint8Array) return value.length + 4;
  if (typeof value !== 'object' || value === null || value instanceof Date) return 9;
  let size = 4;
  for (const [name, part] of Object.entries(value)) size += Buffer.byteLength(name) + 2 + sizeOf(part);
  return size;
}
