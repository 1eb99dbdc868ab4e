import { type Settler, UnansweredOnce } from '../kit/settled-once.js';
import { decode } from './codec.js';
import type { PartitionRecord } from './reader.js';

/** A record of a queue, handed to a consumer or to whoever looks into the queue. */
export class KafkaDelivery extends UnansweredOnce<object, Settler<KafkaDelivery>> {
  constructor(
    readonly taken: PartitionRecord,
    queue: string,
    queueTopic: string,
    settler: Settler<KafkaDelivery>,
    { message, direct, topic } = decode(taken.record, queue, queueTopic),
  ) {
    super(message, queue, direct, topic, undefined, taken.record.raw, settler);
  }

  get raw(): object {
    return copied(this.received) as object;
  }
}

/** Bytes and what holds them, once more. */
function copied(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return Buffer.from(value);
  if (Array.isArray(value)) return value.map(copied);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, copied(inner)]));
}
