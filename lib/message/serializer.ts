import { isUtf8 } from 'node:buffer';
import { types } from 'node:util';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { UndecodableMessageError } from '../errors/handling-errors.js';
import { SerializationError } from '../errors/publish-errors.js';
import { errorMessage } from '../errors/redact.js';
import type { ErrorReply } from '../errors/request-errors.js';
import { exceedsJsonDepth } from './json-depth.js';
import type { Headers } from './headers.js';
import type { MessageProperties, WireMessage } from './message.js';

/** Turns what applications publish into bytes and back. One instance serves every publish and every delivery of a connection. */
export interface Serializer {
  /**
   * Called once per publish, never for a resend or a copy. Throwing rejects the publish with SerializationError. The body is
   * copied: a buffer may be used again.
   */
  serialize(payload: unknown, message: SerializeContext): SerializedPayload;
  /**
   * Called once per handler call, with a copy of the body: what is returned may be a part of it. Returns the payload, or a
   * `Decoded` that says more of the message. Throwing sends the message, raw, straight to its dead-letter queue.
   */
  deserialize(body: Buffer, properties: MessageProperties, message: DeserializeContext): unknown;
  /** How replies are written and read, where that is not as messages are. Default: as messages; `undefined` is an empty body. */
  readonly replies?: ReplySerializer;
  /**
   * What travels, for documents; `payload` is JSON Schema of what is published. Left out: of bodies nothing is known but that.
   */
  describe?(route: string, payload: object): DescribedBody;
}

/** What is written of payloads, as documents have it. */
export interface DescribedBody {
  readonly contentType: string;
  /** JSON Schema of the body as it is read. Default: that of the payload. */
  readonly body?: object;
  /** JSON Schema of headers that it brings, by name; all of them are always there. */
  readonly headers?: Readonly<Record<string, object>>;
  /** Other forms that are read as well. Default: none that is known. */
  readonly accepts?: readonly Omit<DescribedBody, 'accepts'>[];
}

/** Turns replies into bytes and back, with the errors among them. */
export interface ReplySerializer {
  /** `message` is the reply's: its route is that of the request. */
  serialize(reply: Reply, message: SerializeContext): SerializedPayload;
  /** Throwing rejects the request with UndecodableMessageError. */
  deserialize(body: Buffer, properties: MessageProperties, message: DeserializeContext): Reply;
  /** As of messages; `error` is JSON Schema of what `error` of a reply is. */
  describe?(route: string, value: object, error: object): DescribedBody;
}

/** What a request was answered with. */
export type Reply =
  { readonly value: unknown; readonly error?: undefined } | { readonly value?: undefined; readonly error: ErrorReply };

export interface SerializedPayload {
  readonly body: Buffer;
  readonly contentType?: string;
  /** Sent with the message, over those that its publisher gave; none begins with `messaging-`. */
  readonly headers?: Headers;
}

/** What is known of a message before its body is made. */
export interface SerializeContext {
  readonly id: string;
  /** Its route; with `sendToQueue` the queue's name. */
  readonly route: string;
  /** With `sendToQueue`. */
  readonly queue?: string;
  readonly key?: string;
  /** When it is published, in milliseconds since the epoch: what `messaging-time` will say. */
  readonly time: number;
  /** Those that its publisher gave, and those of a trace. */
  readonly headers: Headers;
  readonly correlationId?: string;
  readonly replyTo?: string;
  /** What it was published by, where that is a contract. */
  readonly contract?: { readonly route: string };
}

/** What came with a body, beside its properties; its own copy. */
export type DeserializeContext = Pick<WireMessage, 'id' | 'route' | 'headers'>;

/** Arrays and objects nested deeper than this are refused before they are parsed. */
const MAX_JSON_DEPTH = 64;
const BINARY = 'application/octet-stream';
/** Content encodings that change nothing; some clients write the character set there. */
const ENCODINGS = new Set(['utf-8', 'utf8', 'us-ascii', 'identity']);

/**
 * The default: `Buffer` and `Uint8Array` pass untouched as `application/octet-stream`, everything else is JSON. What JSON
 * would turn into something else without a word (NaN, infinities, invalid dates, Maps, Sets) is refused.
 * Received bytes without a content type are taken for JSON; a content type it does not know is undecodable.
 */
export const jsonSerializer = {
  serialize(payload: unknown): SerializedPayload {
    if (payload instanceof Uint8Array) return { body: Buffer.from(payload), contentType: BINARY };
    const text = stringify(payload);
    return { body: Buffer.from(text), contentType: 'application/json' };
  },

  deserialize(body: Buffer, { contentType, contentEncoding }: MessageProperties): unknown {
    if (contentEncoding && !ENCODINGS.has(contentEncoding.toLowerCase())) {
      throw new UndecodableMessageError(`The content encoding «${contentEncoding}» is not known to the serializer`);
    }
    if (contentType === undefined || contentType === 'application/json') return parse(body);
    if (contentType === BINARY) return Buffer.from(body);
    const type = contentType.split(';', 1)[0].trim().toLowerCase();
    if (type === '' || type === 'application/json' || type.endsWith('+json')) return parse(body);
    if (type === BINARY) return Buffer.from(body);
    if (type.startsWith('text/')) return decodeText(body);
    throw new UndecodableMessageError(`The content type «${contentType}» is not known to the serializer`);
  },

  describe: (): DescribedBody => ({ contentType: 'application/json' }),
};

/** @throws InvalidOptionError */
export function checkSerializer(option: string, serializer: Serializer): Serializer {
  if (typeof serializer?.serialize !== 'function' || typeof serializer.deserialize !== 'function')
    throw new InvalidOptionError(option, serializer, 'an object with serialize() and deserialize()');
  const { replies } = serializer;
  if (replies !== undefined)
    checkSerializer(`${option}.replies`, replies as Pick<ReplySerializer, 'serialize'> as Serializer);
  return serializer;
}

function stringify(payload: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(payload);
  } catch (cause) {
    throw new SerializationError(`The body cannot be written as JSON: ${errorMessage(cause)}`, { cause });
  }
  // What JSON changes without a word, it changes into one of these: most bodies hold neither and are looked at once.
  if (text !== undefined && (text.includes('null') || text.includes('{}'))) refuseChanged(payload);
  if (text === undefined)
    throw new SerializationError(`The body cannot be written as JSON: ${typeof payload} has no JSON form`);
  return text;
}

/** JSON makes null of a number or date that is not finite, and an empty object of a Map or Set. */
function refuseChanged(payload: unknown): void {
  JSON.stringify(payload, function (this: Record<string, unknown>, key: string, value: unknown) {
    const given = this[key];
    if (typeof value === 'number' && !Number.isFinite(value)) throw changed(key, String(value));
    if (value === null && types.isDate(given)) throw changed(key, 'an invalid date');
    if (types.isMap(value) || types.isSet(value)) throw changed(key, types.isMap(value) ? 'a Map' : 'a Set');
    return value;
  });
}

function changed(key: string, what: string): SerializationError {
  return new SerializationError(`The body cannot be written as JSON: ${key === '' ? 'it' : `«${key}»`} is ${what}`);
}

function parse(body: Buffer): unknown {
  if (exceedsJsonDepth(body, MAX_JSON_DEPTH))
    throw new UndecodableMessageError(`The JSON body is nested deeper than ${MAX_JSON_DEPTH} levels`);
  try {
    return JSON.parse(decodeText(body)) as unknown;
  } catch (cause) {
    if (cause instanceof UndecodableMessageError) throw cause;
    throw new UndecodableMessageError(`The body is not JSON: ${errorMessage(cause)}`, { cause });
  }
}

/** A byte order mark says how the text is written; some clients put one, and it is no part of the text. */
function decodeText(body: Buffer): string {
  if (!isUtf8(body)) throw new UndecodableMessageError('The body is not valid UTF-8');
  const start = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0;
  return body.toString('utf8', start);
}
