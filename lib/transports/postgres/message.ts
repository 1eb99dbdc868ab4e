import { hash } from 'node:crypto';
import { header, stringHeader } from '../../message/headers.js';
import type { WireMessage } from '../../message/message.js';
import { type JsonHead, readJsonHead, topicOf } from '../kit/json-head.js';
import { ClaimedOnce, type Claimer } from '../kit/settled-once.js';
import type { Row } from './link.js';

/** A claimed row, as the client hands it over. */
export interface PostgresRow {
  readonly id: string;
  readonly attempt: number;
  /** The column `head`. */
  readonly head: JsonHead;
  readonly body: Buffer;
}

/** Where the messages of a key are told by: a whole number of 64 bits. */
export function keyOf({ headers }: WireMessage): string | null {
  const key = stringHeader(headers, header.key);
  return key === undefined ? null : String(hash('sha256', key, 'buffer').readBigInt64BE());
}

export class PostgresDelivery extends ClaimedOnce<PostgresRow, Claimer<PostgresDelivery>> {
  readonly rank: number;
  readonly id: string;
  readonly attempt: number;
  readonly key: string | null;

  constructor([, rank, id, attempt, key, head, body]: Row, queue: string, settler: Claimer<PostgresDelivery>) {
    const received = { id, attempt, head, body } as PostgresRow;
    const topic = topicOf(received.head);
    super(
      readJsonHead(received.head, received.body, queue),
      queue,
      topic === undefined,
      topic,
      (attempt as number) - 1,
      received,
      settler,
    );
    this.rank = rank as number;
    this.id = id as string;
    this.attempt = attempt as number;
    this.key = key as string | null;
  }

  get raw(): PostgresRow {
    const { head, body } = this.received;
    return { ...this.received, head: structuredClone(head), body: Buffer.from(body) };
  }
}
