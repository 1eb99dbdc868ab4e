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
import { isolateHeaders } from '../message/isolate.js';
import { newMessageId } from '../message/message-id.js';
import type { MessageProperties, WireMessage } from '../message/message.js';
import {
  checkSerializer,
  jsonSerializer,
  type SerializeContext,
  type SerializedPayload,
  type Serializer,
} from '../message/serializer.js';
import type { PublishTrace } from '../pipeline/telemetry.js';
import { type Backoff, type BackoffSchedule, fixed, scheduleOf } from '../retry/backoff.js';
import type { Destination } from '../transport/outgoing.js';
import { Publication, type QueuePolicy } from './publication.js';
import type { PublishRequest } from './publish-middleware.js';
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
  'retryQueuePriority',
  'priority',
  'unroutable',
  'ordered',
  'correlationId',
  'replyTo',
  'unique',
  'serializer',
];
/** Brokers and clients have such limits of their own, and copies carry more headers than their originals. */
const MAX_HEADER_BYTES = 60 * 1024;
const MAX_TTL_MS = 2 ** 45;
const MAX_HOLD_MS = 2 ** 45;

/** What most publishes have: nothing to check. */
export const NO_OPTIONS: PublishOptions = Object.freeze({});

/** What is said of a message beside its body. */
export type MessageHead = Pick<PublishRequest, 'route' | 'queue' | 'options' | 'contract'>;

/** Bytes, and what they were made with. */
export interface Serialized extends SerializedPayload {
  readonly id: string;
  readonly time: number;
}

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
    serialized?: Serialized,
    contract?: PublishRequest['contract'],
  ): Publication {
    const { clock, unroutable, serializer } = this.options;
    const now = serialized?.time ?? clock.now();
    if (options === NO_OPTIONS && serializer === jsonSerializer) {
      const { body, contentType } = serialized ?? this.plain(payload);
      const id = serialized?.id ?? newMessageId(now);
      const headers = { [header.time]: now, [header.version]: WIRE_VERSION };
      trace?.inject(id, headers);
      const message = { id, route, body, headers, properties: onlyContentType(contentType) };
      return new Publication(to, message, undefined, unroutable, false);
    }
    knownKeys('options', options, PUBLISH_OPTION_NAMES);
    if (options.unique !== undefined)
      throw new InvalidOptionError('unique', options.unique, 'left out here: publish and emit take it');
    const id = options.id === undefined ? (serialized?.id ?? newMessageId(now)) : checkShortText('id', options.id);
    const headers = this.headers(options, now);
    trace?.inject(id, headers, options.correlationId);
    const queue = to.kind === 'queue' ? to.queue : undefined;
    const made = serialized ?? this.written(payload, { route, queue, options, contract }, id, now, headers);
    const own = made.headers === undefined ? undefined : ownHeaders(made.headers, headers);
    const headerBytes = options.headers === undefined && own === undefined ? 0 : sizeOf(headers);
    if (headerBytes > MAX_HEADER_BYTES)
      throw new MessageTooLargeError(`The headers take ${headerBytes} bytes; ${MAX_HEADER_BYTES} are taken at most`);
    const properties = propertiesOf(options, made.contentType);
    const message: WireMessage = { id, route, body: made.body, headers, properties };
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
  serialize(payload: unknown, head: MessageHead): Serialized {
    const { options } = head;
    const time = this.options.clock.now();
    const id = options?.id === undefined ? newMessageId(time) : checkShortText('id', options.id);
    if (this.isPlain(options)) return { ...this.written(payload, head, id, time, {}), id, time };
    return { ...this.written(payload, head, id, time, this.headers(options, time)), id, time };
  }

  /** Only the payload decides what its bytes are. */
  isPlain(options: PublishOptions | undefined): boolean {
    return (options?.serializer ?? this.options.serializer) === jsonSerializer;
  }

  private written(
    payload: unknown,
    { route, queue, options, contract }: MessageHead,
    id: string,
    time: number,
    headers: Headers,
  ): SerializedPayload {
    const given: Serializer | undefined = options?.serializer;
    const serializer = given === undefined ? this.options.serializer : checkSerializer('serializer', given);
    if (serializer === jsonSerializer) return this.plain(payload);
    try {
      const { key, correlationId, replyTo } = options;
      const context: SerializeContext = {
        ...{ id, route, time, headers: isolateHeaders(headers) },
        ...(queue !== undefined && { queue }),
        ...(key !== undefined && { key: checkShortText('key', key) }),
        ...(correlationId !== undefined && { correlationId: checkShortText('correlationId', correlationId) }),
        ...(replyTo !== undefined && { replyTo: checkShortText('replyTo', replyTo) }),
        ...(contract && { contract }),
      };
      const { body, ...rest } = this.bytes(serializer.serialize(payload, context));
      // It may write the next one into the same buffer.
      return { ...rest, body: Buffer.from(body) };
    } catch (thrown) {
      throw serializationError(thrown);
    }
  }

  private plain(payload: unknown): SerializedPayload {
    try {
      return this.bytes(jsonSerializer.serialize(payload));
    } catch (thrown) {
      throw serializationError(thrown);
    }
  }

  private bytes(serialized: SerializedPayload): SerializedPayload {
    const { maxBytes } = this.options;
    const body: unknown = serialized?.body;
    if (!Buffer.isBuffer(body))
      throw new SerializationError(
        invalidResult('«serializer.serialize»', serialized, '{ body } with a Buffer').message,
      );
    const { length } = body;
    if (length > maxBytes)
      throw new MessageTooLargeError(`The body has ${length} bytes; the transport takes ${maxBytes} at most`);
    return serialized;
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

function serializationError(thrown: unknown): MessagingError {
  const cause = thrownValue(thrown);
  if (cause instanceof MessagingError) return cause;
  return new SerializationError(`The serializer failed: ${errorMessage(cause)}`, { cause });
}

function propertiesOf(options: PublishOptions, contentType: string | undefined): MessageProperties {
  const { correlationId, replyTo, priority } = options;
  if (correlationId === undefined && replyTo === undefined && priority === undefined)
    return onlyContentType(contentType);
  return {
    ...(contentType !== undefined && { contentType }),
    ...(correlationId !== undefined && { correlationId: checkShortText('correlationId', correlationId) }),
    ...(replyTo !== undefined && { replyTo: checkShortText('replyTo', replyTo) }),
    ...(priority !== undefined && { priority: integerBetween('priority', priority, 0, 255) }),
  };
}

/** Undefined: as nearly all messages are treated. */
function queuePolicy(options: PublishOptions, holdUntil: number | undefined): QueuePolicy | undefined {
  const { attempts, backoff, retryQueuePriority: priority } = options;
  if (holdUntil === undefined && attempts === undefined && backoff === undefined && priority === undefined)
    return undefined;
  return {
    holdUntil,
    priority: priority === undefined ? 0 : integerBetween('retryQueuePriority', priority, 0, 9),
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

/** What the serializer says of its body, over what the application gave. */
function ownHeaders(from: unknown, to: Record<string, HeaderValue>): unknown {
  try {
    copyHeaders(from as Headers, to);
    return from;
  } catch (cause) {
    throw new SerializationError(`The serializer gave headers that cannot be sent: ${errorMessage(cause)}`, { cause });
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
