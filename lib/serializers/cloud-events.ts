import { InvalidOptionError } from '../errors/configuration-errors.js';
import { UndecodableMessageError } from '../errors/handling-errors.js';
import { knownKeys, oneOf } from '../errors/option-checks.js';
import { SerializationError } from '../errors/publish-errors.js';
import type { CloudEvent } from '../message/cloud-event.js';
import { Decoded } from '../message/decoded.js';
import { type Headers, stringHeader } from '../message/headers.js';
import type { MessageProperties } from '../message/message.js';
import {
  type DeserializeContext,
  jsonSerializer,
  type SerializeContext,
  type SerializedPayload,
  type Serializer,
} from '../message/serializer.js';
import { type Attributes, brokenRule, percentDecoded, percentEncoded } from './cloud-event-rules.js';
import { isEmptyJson } from './json.js';

/** What one kind of message says in its events. A function is given the payload and the route. */
export interface CloudEventAttributes {
  /** Default: the route. */
  readonly type?: string | ((payload: unknown, route: string) => string);
  readonly subject?: string | ((payload: unknown, route: string) => string | undefined);
  /** An absolute URI. */
  readonly dataschema?: string;
}

/** Options of `cloudEvents`. */
export interface CloudEventsOptions extends CloudEventAttributes {
  /** Where events come from, a URI or a reference to one: `/orders`. With the id it is unique. */
  readonly source: string;
  /** How events are sent: attributes as headers (`binary`, default), or everything as JSON in the body (`structured`). */
  readonly mode?: 'binary' | 'structured';
  /**
   * What headers of binary events begin with; all are read. `cloudEvents_` (default): as AMQP has it, also for brokers
   * without a binding. `ce_`: as Kafka has it. `ce-`: as NATS and HTTP have it, percent-encoded.
   */
  readonly prefix?: 'cloudEvents_' | 'ce_' | 'ce-';
  /** `both` (default): what is no event is read as JSON. `cloudevents`: it is undecodable. */
  readonly accept?: 'both' | 'cloudevents';
}

/** A serializer of CloudEvents, and others of its kind. */
export interface CloudEventsSerializer extends Serializer {
  /** The same with these attributes, for a contract: `message(route, schema, { serializer: events.with({ type }) })`. */
  with(attributes: CloudEventAttributes): CloudEventsSerializer;
}

const KNOWN: readonly (keyof CloudEventsOptions)[] = [
  'source',
  'mode',
  'prefix',
  'accept',
  'type',
  'subject',
  'dataschema',
];
const PREFIXES = ['cloudEvents_', 'ce_', 'ce-'] as const;
const PREFIX = /^(cloudevents[_:]|ce[-_])(.+)$/i;
const STRUCTURED = 'application/cloudevents+json';
const CONTENT_TYPE = `${STRUCTURED}; charset=utf-8`;
const text = (format?: string): object => ({ type: 'string', ...(format !== undefined && { format }) });
/** What each event has, in JSON Schema; others can be beside them. */
const ATTRIBUTES = {
  specversion: { const: '1.0' },
  id: text(),
  source: text('uri-reference'),
  type: text(),
  time: text('date-time'),
};
const required = Object.keys(ATTRIBUTES) as readonly (keyof typeof ATTRIBUTES)[];
const KNOWN_TYPE = /^(application\/(octet-stream|json)|text\/[^;]+|[^;]+\+json)\s*(;|$)/i;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/**
 * CloudEvents 1.0, structured and binary. Both are recognised on receipt, whatever is sent: a handler gets the data, and the
 * attributes are `context.cloudEvent`. What claims to be an event and breaks a rule is undecodable. @throws InvalidOptionError
 */
export function cloudEvents(options: CloudEventsOptions): CloudEventsSerializer {
  knownKeys('cloudEvents', options, KNOWN);
  const { source, dataschema, mode = 'binary', prefix = 'cloudEvents_', accept = 'both' } = options;
  oneOf('cloudEvents.mode', mode, ['binary', 'structured']);
  oneOf('cloudEvents.prefix', prefix, PREFIXES);
  oneOf('cloudEvents.accept', accept, ['both', 'cloudevents']);
  const broken = brokenRule({ specversion: '1.0', id: 'id', type: 'type', source, dataschema });
  if (broken) throw new InvalidOptionError('cloudEvents', source, `options that keep the rules: ${broken}`);
  return {
    with: (attributes) => cloudEvents({ ...options, ...attributes }),

    serialize(payload, context) {
      const attributes = attributesOf(payload, context, options);
      const rule = brokenRule(attributes);
      if (rule) throw new SerializationError(`This is no CloudEvent: ${rule}`);
      return mode === 'binary' ? binary(payload, attributes, prefix) : structured(payload, attributes);
    },

    deserialize(body, properties, { headers }) {
      const type = properties.contentType?.split(';', 1)[0].trim().toLowerCase() ?? '';
      if (type.startsWith('application/cloudevents')) return readStructured(body, properties, type);
      const attributes = attributesIn(headers);
      if (attributes.specversion !== undefined) return readBinary(body, properties, attributes);
      if (accept === 'cloudevents') throw undecodable('it has neither the content type nor the headers of one');
      return jsonSerializer.deserialize(body, properties);
    },

    describe(_, data) {
      const event = {
        contentType: CONTENT_TYPE,
        body: { type: 'object', properties: { ...ATTRIBUTES, data }, required },
      };
      const plain = { contentType: 'application/json' };
      const binaries = PREFIXES.map((one) => {
        const headers = Object.fromEntries(required.map((name) => [`${one}${name}`, ATTRIBUTES[name]]));
        return { ...plain, headers };
      });
      const own = mode === 'structured' ? event : binaries[PREFIXES.indexOf(prefix)];
      const forms = [event, ...binaries, ...(accept === 'both' ? [plain] : [])];
      return { ...own, accepts: forms.filter((one) => one !== own) };
    },
  };
}

function attributesOf(payload: unknown, context: SerializeContext, options: CloudEventsOptions): Attributes {
  const { id, route, time, key, correlationId, headers } = context;
  const { source, type = route, subject, dataschema } = options;
  const given = {
    ...{ specversion: '1.0', id, source },
    type: typeof type === 'function' ? type(payload, route) : type,
    time: new Date(time).toISOString(),
    subject: typeof subject === 'function' ? subject(payload, route) : subject,
    dataschema,
    partitionkey: key,
    correlationid: correlationId,
    traceparent: stringHeader(headers, 'traceparent'),
    tracestate: stringHeader(headers, 'tracestate'),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function binary(
  payload: unknown,
  attributes: Attributes,
  prefix: NonNullable<CloudEventsOptions['prefix']>,
): SerializedPayload {
  const isEncoded = prefix === 'ce-';
  const { body, contentType } =
    payload === undefined ? { body: Buffer.alloc(0), contentType: undefined } : jsonSerializer.serialize(payload);
  const all = isEncoded && contentType !== undefined ? { ...attributes, datacontenttype: contentType } : attributes;
  const headers = Object.entries(all).map(([name, value]) => {
    const text = String(value);
    return [`${prefix}${name}`, isEncoded ? percentEncoded(text) : text];
  });
  return { body, ...(contentType !== undefined && { contentType }), headers: Object.fromEntries(headers) as Headers };
}

function structured(payload: unknown, attributes: Attributes): SerializedPayload {
  const isBytes = payload instanceof Uint8Array;
  const data = isBytes
    ? { datacontenttype: 'application/octet-stream', data_base64: Buffer.from(payload).toString('base64') }
    : { ...(payload !== undefined && { datacontenttype: 'application/json', data: payload }) };
  const { body } = jsonSerializer.serialize({ ...attributes, ...data });
  return { body, contentType: CONTENT_TYPE };
}

function readStructured(body: Buffer, properties: MessageProperties, type: string): Decoded {
  if (type !== STRUCTURED) throw undecodable(`the format «${type}» is not known; «${STRUCTURED}» is`);
  const event = jsonSerializer.deserialize(body, properties);
  if (typeof event !== 'object' || event === null || Array.isArray(event)) throw undecodable('it is no JSON object');
  const { data, data_base64: base64, ...others } = event as Attributes;
  if (base64 !== undefined && data !== undefined) throw undecodable('«data» and «data_base64» exclude each other');
  if (base64 !== undefined && !(typeof base64 === 'string' && BASE64.test(base64)))
    throw undecodable('«data_base64» is a text in base64');
  // What is null is not there.
  const attributes = Object.fromEntries(Object.entries(others).filter(([, value]) => value !== null));
  return decodedOf(base64 === undefined ? data : Buffer.from(base64, 'base64'), attributes);
}

function readBinary(body: Buffer, properties: MessageProperties, named: Attributes): Decoded {
  const type = properties.contentType ?? (named.datacontenttype as string | undefined);
  const attributes = type === undefined ? named : { ...named, datacontenttype: type };
  if (isEmptyJson(body, type)) return decodedOf(undefined, attributes);
  const isKnown = type === undefined || type === '' || KNOWN_TYPE.test(type);
  const read = (): unknown => jsonSerializer.deserialize(body, { ...properties, contentType: type });
  return decodedOf(isKnown ? read() : Buffer.from(body), attributes);
}

function attributesIn(headers: DeserializeContext['headers']): Attributes {
  // The name of a header is no prototype.
  const found = Object.create(null) as Record<string, unknown>;
  for (const [header, value] of Object.entries(headers)) {
    const [, prefix, name] = PREFIX.exec(header) ?? [];
    if (name === undefined || value === undefined || value === null) continue;
    found[name.toLowerCase()] = value instanceof Date ? value.toISOString() : decodedText(name, value, prefix);
  }
  return found;
}

function decodedText(name: string, value: unknown, prefix: string): unknown {
  if (typeof value !== 'string' || !prefix.endsWith('-')) return value;
  const text = percentDecoded(value);
  if (text === undefined) throw undecodable(`«${name}» is not percent-encoded UTF-8`);
  return text;
}

function decodedOf(data: unknown, attributes: Attributes): Decoded {
  const rule = brokenRule(attributes);
  if (rule) throw undecodable(rule);
  const cloudEvent = Object.freeze({ ...attributes }) as CloudEvent;
  const { id, source, time, partitionkey: key, correlationid: correlationId } = cloudEvent;
  return new Decoded(data, {
    ...{ id, cloudEvent, sameAs: `${source} ${id}` },
    ...(time !== undefined && Date.parse(time) >= 0 && { time: Date.parse(time) }),
    ...(typeof key === 'string' && key !== '' && { key }),
    ...(typeof correlationId === 'string' && correlationId !== '' && { correlationId }),
  });
}

function undecodable(rule: string): UndecodableMessageError {
  return new UndecodableMessageError(`The message claims to be a CloudEvent and breaks a rule: ${rule}`);
}
