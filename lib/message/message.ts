import type { Headers } from './headers.js';

/*
 * Glossary
 *
 * route        what a message is about, dot-separated words: `order.created`
 * pattern      a route with AMQP wildcards: `*` stands for one word, `#` for zero or more
 * topic        where routes are published (on RabbitMQ: an exchange)
 * queue        where the messages of one subscription wait
 * group        the consumers that share a queue; by default the service's name
 * key          messages of one key keep their order
 * delivery     one message handed to one consumer, to be settled once
 * attempt      the number of a handler call for a message, the first is 1
 * settle       ack, release (give back), or move (publish a copy, then ack)
 * dead letter  a message that was given up, kept with the reason in the dead-letter queue (DLQ)
 */

/** A message as it travels: bytes and metadata, no envelope. Never changed in place. */
export interface WireMessage {
  /** The same on every resend and copy, so that consumers can recognise a duplicate. Empty for a foreign message without one. */
  readonly id: string;
  /** The route the publisher named. Survives retry, delay, dead letter and redrive. */
  readonly route: string;
  readonly body: Buffer;
  /** Application headers and ours (`messaging-…`, see docs/wire.md). */
  readonly headers: Headers;
  readonly properties: MessageProperties;
}

/** Standard metadata that foreign clients set and read. Absent ones are not sent. */
export interface MessageProperties {
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly correlationId?: string;
  readonly replyTo?: string;
  readonly appId?: string;
  /** What a foreign publisher called the message's type, when it is not the route. */
  readonly type?: string;
  /** Seconds since the epoch, as AMQP has it. */
  readonly timestamp?: number;
  readonly priority?: number;
}
