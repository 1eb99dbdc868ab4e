import { UndecodableMessageError } from '../errors/handling-errors.js';
import { checkBoolean, checkRoute, knownKeys } from '../errors/option-checks.js';
import { type ErrorReply, errorReplyOf } from '../errors/request-errors.js';
import { typeOfResult } from '../errors/result-checks.js';
import { Decoded } from '../message/decoded.js';
import { hasWildcard } from '../transport/topic-pattern.js';
import { jsonSerializer, type ReplySerializer, type Serializer } from '../message/serializer.js';
import { isEmptyJson } from './json.js';

/** Options of `nestEnvelope`. */
export interface NestEnvelopeOptions {
  /** The pattern of what is sent. Default: the route. */
  readonly pattern?: string;
  /** An empty body is `undefined`. Default false: it is undecodable. */
  readonly allowEmpty?: boolean;
}

const KEYS = new Set(['pattern', 'data', 'id']);

/**
 * The form of the microservices of Nest: `{ pattern, data }` for an event, and `{ pattern, data, id }` for a request, which
 * is what is published with `replyTo`; `{ response }` or `{ err }` for its reply. A message that arrives in it has the
 * pattern as its route; any other body is read as `jsonSerializer` reads it, so that a queue may hold both.
 * @throws InvalidOptionError
 */
export function nestEnvelope(options: NestEnvelopeOptions = {}): Serializer {
  knownKeys('nestEnvelope', options, ['pattern', 'allowEmpty']);
  const { pattern, allowEmpty = false } = options;
  if (pattern !== undefined) checkRoute('nestEnvelope.pattern', pattern);
  checkBoolean('nestEnvelope.allowEmpty', allowEmpty);
  return {
    serialize(data, { id, route, correlationId, replyTo }) {
      const request = replyTo === undefined ? {} : { id: correlationId ?? id };
      return jsonSerializer.serialize({ pattern: pattern ?? route, data, ...request });
    },

    deserialize(body, properties, message) {
      if (allowEmpty && isEmptyJson(body, properties.contentType)) return undefined;
      const payload = jsonSerializer.deserialize(body, properties);
      if (!isEnvelope(payload)) return payload;
      const { pattern: given, data, id } = payload;
      if (id !== undefined && typeof id !== 'string') throw broken('id', id, 'a text, or none');
      return new Decoded(data, {
        route: routeOf(given),
        ...(id !== undefined && message.id === '' && { id }),
        ...(id !== undefined && properties.correlationId === undefined && { correlationId: id }),
      });
    },

    describe: (route, data) => ({
      contentType: 'application/json',
      body: {
        type: 'object',
        properties: {
          pattern: hasWildcard(route) ? { type: 'string' } : { const: pattern ?? route },
          data,
          id: { type: 'string' },
        },
        required: ['pattern'],
      },
      accepts: [{ contentType: 'application/json', body: data }],
    }),

    replies,
  };
}

const REPLY_KEYS = new Set(['id', 'response', 'err', 'isDisposed', 'status']);

/** The request is told by the correlation id. Of several replies, an Observable's, the first is the answer. */
const replies: ReplySerializer = {
  serialize: ({ value, error }) =>
    jsonSerializer.serialize(
      error ? { err: { status: 'error', ...error }, isDisposed: true } : { response: value, isDisposed: true },
    ),

  deserialize(body, properties) {
    const payload = isEmptyJson(body, properties.contentType)
      ? undefined
      : jsonSerializer.deserialize(body, properties);
    if (!isReply(payload)) return { value: payload };
    const { err, response } = payload;
    if (err === undefined || err === null || err === '') return { value: response };
    return { error: errorOf(err) };
  },

  describe(_, response, err) {
    const answer = (properties: object, ...required: string[]): object => ({
      type: 'object',
      properties: { ...properties, isDisposed: { const: true } },
      required: [...required, 'isDisposed'],
    });
    return { contentType: 'application/json', body: { anyOf: [answer({ response }), answer({ err }, 'err')] } };
  },
};

function isReply(payload: unknown): payload is Readonly<Record<string, unknown>> {
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) return false;
  const names = Object.keys(payload);
  return names.some((name) => name !== 'id' && name !== 'status') && names.every((name) => REPLY_KEYS.has(name));
}

/** What an RpcException was made with: a text, or an object of any form, which is kept as `details`. */
function errorOf(err: unknown): ErrorReply {
  const told = errorReplyOf(typeof err === 'string' ? { message: err } : err);
  const { code } = err as { readonly code?: unknown };
  return typeof err === 'string' || typeof code === 'string' ? told : { ...told, details: err };
}

/** One more name, and it is a message of somebody else's that happens to have a pattern. */
function isEnvelope(payload: unknown): payload is Readonly<Record<string, unknown>> {
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) return false;
  return 'pattern' in payload && Object.keys(payload).every((name) => KEYS.has(name));
}

/** As Nest compares patterns: an object is its JSON, with its names sorted at every depth. */
function routeOf(pattern: unknown): string {
  if (typeof pattern === 'string' && pattern !== '') return pattern;
  if (typeof pattern === 'number') return String(pattern);
  if (typeof pattern === 'object' && pattern !== null && !Array.isArray(pattern))
    return JSON.stringify(sorted(pattern));
  throw broken('pattern', pattern, 'a text, a number or an object');
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(entries.map(([name, part]) => [name, sorted(part)]));
}

function broken(name: string, value: unknown, allowed: string): UndecodableMessageError {
  return new UndecodableMessageError(
    `The envelope of Nest has a wrong «${name}», ${value === '' ? 'an empty text' : typeOfResult(value)}; allowed: ${allowed}`,
  );
}
