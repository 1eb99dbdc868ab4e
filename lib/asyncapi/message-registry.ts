import type { StandardSchema } from '../message/standard-schema.js';
import type { DescribedBody } from '../message/serializer.js';
import { type Json, pointerTo } from './json.js';
import { ACCEPTS } from './message-forms.js';
import { payloadSchema, relocated } from './payload-schema.js';

/** What is said of a message beside its payload. */
export interface MessageFacts {
  readonly correlationId?: Json;
  /** Those of every message. */
  readonly headers: Json;
  /** What its serializer makes of the payload, where that is known. */
  readonly describe?: (route: string, payload: Json) => DescribedBody;
}

/** Messages and their schemas, each once, by names that documents can hold. */
export class MessageRegistry {
  readonly messages = new Map<string, Json>();
  readonly schemas = new Map<string, Json>();
  private readonly keys = new Map<string, string>();

  constructor(private readonly lenient: boolean) {}

  /**
   * The key of a message in the components; `schema`: of a contract, or JSON Schema as it is. Undefined payload: nobody has
   * said what it is. @throws InvalidOptionError
   */
  add(route: string, schema: StandardSchema | Json | undefined, facts: MessageFacts): string {
    const payload = schema && (isStandard(schema) ? payloadSchema(route, schema, this.lenient) : schema);
    const { describe, headers: own, ...others } = facts;
    const identity = JSON.stringify([route, payload, others, own, describe?.(route, payload ?? {})]);
    const known = this.keys.get(identity);
    if (known !== undefined) return known;
    const key = this.freeKey(
      route
        .replace(/\*/g, 'word')
        .replace(/#/g, 'words')
        .replace(/[^\w.-]/g, '_'),
    );
    this.keys.set(identity, key);
    const written = payload ? { $ref: pointerTo('components', 'schemas', key) } : {};
    const { contentType, body = written, headers, accepts = [] } = describe?.(route, written) ?? {};
    const inForm = (names: DescribedBody['headers']): Json =>
      names ? { allOf: [own, { type: 'object', properties: names, required: Object.keys(names) }] } : own;
    const { title, description, deprecated, examples, 'x-version': version } = (payload ?? {}) as Record<string, never>;
    this.messages.set(key, {
      name: route,
      ...{ title, description, deprecated, 'x-version': version },
      ...(Array.isArray(examples) && { examples: (examples as unknown[]).map((one) => ({ payload: one })) }),
      ...{ contentType, ...others },
      headers: inForm(headers),
      payload: body,
      ...(accepts.length > 0 && {
        [ACCEPTS]: accepts.map((one) => ({
          ...{ contentType: one.contentType, headers: inForm(one.headers), payload: one.body ?? written },
        })),
      }),
    });
    if (payload) this.schemas.set(key, relocated(payload, pointerTo('components', 'schemas', key)));
    return key;
  }

  /** Different payloads of one route have different names. */
  private freeKey(wanted: string): string {
    let key = wanted;
    for (let at = 2; this.messages.has(key); at++) key = `${wanted}-${at}`;
    return key;
  }
}

function isStandard(schema: StandardSchema | Json): schema is StandardSchema {
  return '~standard' in schema;
}
