import { hash } from 'node:crypto';
import { header, stringHeader } from '../../message/headers.js';
import type { WireMessage } from '../../message/message.js';
import { type JsonHead, readJsonHead, topicOf, writeJsonHead } from '../kit/json-head.js';
import { ClaimedOnce, type Claimer } from '../kit/settled-once.js';

/** An entry of a stream, as a script hands it over: its id, names and values in turn, how often it was delivered before. */
export type Taken = readonly [id: Buffer, fields: readonly Buffer[], before: number];

/** An entry of a stream: `raw` of a delivery. */
export interface RedisEntry {
  readonly id: string;
  /** Without a prototype. */
  readonly fields: Readonly<Record<string, Buffer>>;
}

/** What the messages of a key are told by; '' without one. */
export function keyOf({ headers }: WireMessage): string {
  const key = stringHeader(headers, header.key);
  return key === undefined ? '' : hash('sha256', key, 'hex').slice(0, 16);
}

/** What a head without properties says: it is said of most messages. */
const JSON_ALONE = { contentType: 'application/json' };

/** Everything of a message but its body, as it is stored. */
export function writeHead(message: WireMessage, topic: string | undefined): string {
  const { properties } = message;
  const isUsual = properties.contentType === JSON_ALONE.contentType && Object.keys(properties).length === 1;
  return writeJsonHead(isUsual ? { ...message, properties: undefined as never } : message, topic);
}

export class RedisDelivery extends ClaimedOnce<RedisEntry, Claimer<RedisDelivery>> {
  readonly id: string;
  readonly key: string;

  constructor([id, fields, before]: Taken, queue: string, settler: Claimer<RedisDelivery>) {
    const head = headOf(fields);
    const topic = topicOf(head);
    const received = new LazyEntry(id.toString('latin1'), fields);
    super(readJsonHead(head, bodyOf(fields), queue), queue, topic === undefined, topic, before, received, settler);
    this.id = received.id;
    this.key = storedKey(fields);
  }

  get raw(): RedisEntry {
    const { id, fields } = this.received;
    const copied = Object.entries(fields).map(([name, value]) => [name, Buffer.from(value)]);
    return { id, fields: Object.fromEntries(copied) as Record<string, Buffer> };
  }
}

/** Whose fields are named when somebody asks. */
class LazyEntry implements RedisEntry {
  constructor(
    readonly id: string,
    private readonly list: readonly Buffer[],
  ) {}

  get fields(): Record<string, Buffer> {
    return namedOf(this.list);
  }
}

function fieldOf(fields: readonly Buffer[], name: string): Buffer | undefined {
  for (let at = 0; at < fields.length; at += 2) if (fields[at].equals(NAMES[name])) return fields[at + 1];
  return undefined;
}

const NAMES: Readonly<Record<string, Buffer>> = {
  head: Buffer.from('head'),
  body: Buffer.from('body'),
  key: Buffer.from('key'),
};

function headOf(fields: readonly Buffer[]): JsonHead {
  const text = fieldOf(fields, 'head');
  try {
    const head = text && (JSON.parse(text.toString()) as { -readonly [Name in keyof JsonHead]: unknown } | null);
    if (typeof head !== 'object' || head === null) return {};
    head.properties ??= JSON_ALONE;
    return head;
  } catch {
    return {};
  }
}

/** Of an entry without a body, which somebody else wrote, all its fields. */
function bodyOf(fields: readonly Buffer[]): Buffer {
  const body = fieldOf(fields, 'body');
  if (body) return body;
  return Buffer.from(
    JSON.stringify(
      Object.fromEntries(Object.entries(namedOf(fields)).map(([name, value]) => [name, value.toString()])),
    ),
  );
}

function namedOf(fields: readonly Buffer[]): Record<string, Buffer> {
  const named: Record<string, Buffer> = Object.create(null) as Record<string, Buffer>;
  for (let at = 0; at < fields.length; at += 2) named[fields[at].toString()] = fields[at + 1];
  return named;
}

/** As the scripts have it: what is none of ours is hashed there. */
function storedKey(fields: readonly Buffer[]): string {
  const key = fieldOf(fields, 'key')?.toString('latin1');
  if (key === undefined || /^[\da-fA-F]{16}$/.test(key)) return key ?? '';
  return hash('sha1', fieldOf(fields, 'key')!, 'hex').slice(0, 16);
}
