import { hash } from 'node:crypto';
import { DeliveryLostError } from '../../errors/handling-errors.js';
import { header, type Headers, type HeaderValue, stringHeader } from '../../message/headers.js';
import type { WireMessage } from '../../message/message.js';
import { type FoundProperties, readProperties, routeOf } from '../kit/envelope.js';
import { SettledOnce, type Settler as KitSettler } from '../kit/settled-once.js';
import { tagged, untagged } from '../kit/text-values.js';
import type { Outgoing, PublishResult } from '../../transport/outgoing.js';
import type { Row } from './link.js';

/** The column `head`: everything of a message but its body. */
export interface Head {
  readonly id?: unknown;
  /** Absent: the message was sent to its queue by name. */
  readonly topic?: unknown;
  readonly route?: unknown;
  readonly properties?: unknown;
  readonly headers?: unknown;
}

/** A claimed row, as the client hands it over. */
export interface PostgresRow {
  readonly id: string;
  readonly attempt: number;
  readonly head: Head;
  readonly body: Buffer;
}

/** As JSON: what JSON does not have is told by kind, bytes as base64. */
export function encodeHead(message: WireMessage, topic: string | undefined): string {
  const { id, route, properties, headers } = message;
  const plain = Object.values(headers).every((value) => typeof value === 'string');
  return JSON.stringify({ id, topic, route, properties, headers: plain ? headers : writable(headers) });
}

function writable(headers: Headers): object {
  const given = Object.entries(headers).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([name, value]) => [name, tagged(value)]));
}

/** Where the messages of a key are told by: a whole number of 64 bits. */
export function keyOf({ headers }: WireMessage): string | null {
  const key = stringHeader(headers, header.key);
  return key === undefined ? null : String(hash('sha256', key, 'buffer').readBigInt64BE());
}

/** What does not fit is left out: anybody can write a row. */
export function decode({ head, body }: PostgresRow, queue: string): WireMessage {
  const headers: Record<string, HeaderValue> = {};
  if (isObject(head.headers)) {
    for (const [name, value] of Object.entries(head.headers)) {
      if (name === '__proto__') continue;
      headers[name] = typeof value === 'object' ? untagged(value as HeaderValue) : (value as HeaderValue);
    }
  }
  const found: FoundProperties = isObject(head.properties) ? head.properties : {};
  const route = textOf(head.route) ?? routeOf(headers, found.type, queue);
  return { id: textOf(head.id) ?? '', route, body, headers, properties: readProperties(found, route) };
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** The session that a delivery came in, as long as that lasts. */
export interface Settler extends KitSettler<PostgresDelivery> {
  ackConfirmed(delivery: PostgresDelivery): Promise<boolean>;
  extend(delivery: PostgresDelivery, ms: number): Promise<void>;
  move(delivery: PostgresDelivery, to: Outgoing): Promise<PublishResult>;
}

export class PostgresDelivery extends SettledOnce<PostgresRow, Settler> {
  readonly rank: number;
  readonly id: string;
  readonly attempt: number;
  readonly key: string | null;

  constructor([, rank, id, attempt, key, head, body]: Row, queue: string, settler: Settler) {
    const received = { id, attempt, head, body } as PostgresRow;
    super(decode(received, queue), queue, textOf(received.head.topic) === undefined, textOf(received.head.topic), (attempt as number) - 1, received, settler); // prettier-ignore
    this.rank = rank as number;
    this.id = id as string;
    this.attempt = attempt as number;
    this.key = key as string | null;
  }

  get raw(): PostgresRow {
    const { head, body } = this.received;
    return { ...this.received, head: structuredClone(head), body: Buffer.from(body) };
  }

  async extend(ms: number): Promise<void> {
    await this.holder?.extend(this, ms);
  }

  /** The copy is written and the message removed by one statement: both, or neither. */
  move(to: Outgoing): Promise<PublishResult> {
    const { holder } = this;
    if (holder) return holder.move(this, to);
    const error = new DeliveryLostError('The delivery is lost, or was settled before');
    return Promise.resolve({ status: 'failed', error });
  }
}
