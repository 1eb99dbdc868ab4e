import type { Headers, HeaderValue } from '../../message/headers.js';
import type { WireMessage } from '../../message/message.js';
import { type FoundProperties, readProperties, routeOf } from './envelope.js';
import { tagged, untagged } from './text-values.js';

/** Everything of a message but its body, as JSON: for brokers that have no headers of their own. */
export interface JsonHead {
  readonly id?: unknown;
  /** Absent: the message was sent to its queue by name. */
  readonly topic?: unknown;
  readonly route?: unknown;
  readonly properties?: unknown;
  readonly headers?: unknown;
}

/** What JSON does not have is told by kind, bytes as base64. */
export function writeJsonHead({ id, route, properties, headers }: WireMessage, topic: string | undefined): string {
  const plain = Object.values(headers).every((value) => typeof value === 'string');
  return JSON.stringify({ id, topic, route, properties, headers: plain ? headers : writable(headers) });
}

function writable(headers: Headers): object {
  const given = Object.entries(headers).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([name, value]) => [name, tagged(value)]));
}

/** What does not fit is left out: anybody can write a head. One that cannot be read at all is as none. */
export function readJsonHead(head: JsonHead, body: Buffer, queue: string): WireMessage {
  try {
    return messageOf(head, body, queue);
  } catch {
    return messageOf({}, body, queue);
  }
}

function messageOf(head: JsonHead, body: Buffer, queue: string): WireMessage {
  const headers: Record<string, HeaderValue> = {};
  if (isObject(head.headers)) {
    for (const [name, value] of Object.entries(head.headers)) {
      if (name === '__proto__') continue;
      headers[name] = untagged(value as HeaderValue);
    }
  }
  const found: FoundProperties = isObject(head.properties) ? head.properties : {};
  const route = textOf(head.route) ?? routeOf(headers, found.type, queue);
  return { id: textOf(head.id) ?? '', route, body, headers, properties: readProperties(found, route) };
}

/** The topic that the message was routed by; undefined where it was sent to its queue. */
export function topicOf({ topic }: JsonHead): string | undefined {
  return textOf(topic);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
