import { checkBoolean, knownKeys } from '../errors/option-checks.js';
import { jsonSerializer, type Serializer } from '../message/serializer.js';

/** Options of `json`. */
export interface JsonOptions {
  /** An empty body is `undefined`, and `undefined` is sent as one. Default false: it is undecodable, and cannot be sent. */
  readonly allowEmpty?: boolean;
}

const JSON_TYPE = /^(application\/json|[^;]*\+json)\s*(;|$)/i;

/** As `jsonSerializer`, with options. @throws InvalidOptionError */
export function json(options: JsonOptions = {}): Serializer {
  knownKeys('json', options, ['allowEmpty']);
  const { allowEmpty = false } = options;
  checkBoolean('json.allowEmpty', allowEmpty);
  if (!allowEmpty) return jsonSerializer;
  return {
    serialize: (payload) => (payload === undefined ? { body: Buffer.alloc(0) } : jsonSerializer.serialize(payload)),
    deserialize: (body, properties) =>
      isEmptyJson(body, properties.contentType) ? undefined : jsonSerializer.deserialize(body, properties),
    describe: jsonSerializer.describe,
  };
}

/** Whether there is nothing where JSON should be. */
export function isEmptyJson(body: Buffer, contentType: string | undefined): boolean {
  return body.length === 0 && (!contentType || JSON_TYPE.test(contentType));
}
