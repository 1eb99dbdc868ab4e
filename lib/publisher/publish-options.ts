import type { Headers } from '../message/headers.js';
import type { BodyOf } from '../message/message-contract.js';
import type { Serializer } from '../message/serializer.js';
import type { Backoff } from '../retry/backoff.js';
import type { UniqueOptions } from './unique-publishing.js';

/** What is to happen to a message that no queue takes. */
export type UnroutablePolicy =
  /** The publish rejects with UnroutableError. */
  | 'reject'
  /** The message waits in the publisher retry queue until a queue takes it. */
  | 'queue'
  /** The message counts as confirmed and is gone. */
  | 'ignore';

/** Options of one publish. */
export interface PublishOptions {
  /** The message's id, for consumers that recognise duplicates; 1…255 bytes. Every publish is sent, also with an id used before. Default: a new UUIDv7. */
  readonly id?: string;
  /** Messages of one key keep the order in which their publishes were awaited. */
  readonly key?: string;
  /**
   * Application headers. A date arrives as its ISO 8601 text. Refused are names that begin with `messaging-`, which are
   * ours, and, at any depth, numbers that are not finite (SerializationError) and objects that are not plain, as a `Map`.
   */
  readonly headers?: Headers;
  /** Where to publish (RabbitMQ: the exchange). Default: the transport's. */
  readonly topic?: string;
  /** Deliver not before so many milliseconds from now. */
  readonly delay?: number;
  /** Deliver not before this time; not together with `delay`. */
  readonly at?: Date | number;
  /** Milliseconds that the message is of use: after them it is not sent and no handler called. Default: for ever. */
  readonly ttl?: number;
  /** Sends that may fail for a passing reason while connected; then the message is given up. Default: no limit. */
  readonly attempts?: number;
  /** The wait in the retry queue after such a failure: `fixed(ms)`, `exponential({…})`, milliseconds. Default: until the next pass. */
  readonly backoff?: Backoff | number;
  /** Place in the publisher retry queue: 0…9, higher first. Default 0. */
  readonly retryQueuePriority?: number;
  /**
   * The message's priority at the broker: 0…255, higher first where the queue goes by it (RabbitMQ: a quorum queue by above
   * 4 or not, a classic one with `x-max-priority`; PostgreSQL), a property that consumers can read elsewhere. It counts for the first delivery:
   * retries, delays of a handler and dead letters have none. Default: none.
   */
  readonly priority?: number;
  /** Default: the module's. */
  readonly unroutable?: UnroutablePolicy;
  /** Have at most one message of the `key` under way at a time, so that their order holds even without awaiting. */
  readonly ordered?: boolean;
  /** Correlation id of the message, passed unchanged through every hop. */
  readonly correlationId?: string;
  /** Where a plain client is to send its answer. */
  readonly replyTo?: string;
  /**
   * Of all publishes of the service with this key, `{ key, for }`, one is sent in `for` milliseconds; the others resolve as
   * that one did, with `duplicate: true`. With `publish` and `emit`. It needs the module's `coordination`. Default: every publish is sent.
   */
  readonly unique?: UniqueOptions;
  /** Writes the body of this message. Default: that of its contract, or the module's. */
  readonly serializer?: Serializer;
}

/** A route, or a contract or another object that carries one. */
export type RouteLike = string | { readonly route: string };

/** One message of `publishMany`; a contract as its route types the body. */
export interface PublishEntry<R extends RouteLike = RouteLike> extends Omit<PublishOptions, 'unique'> {
  readonly route: R;
  readonly body: BodyOf<R>;
}

/** Messages of `publishMany`, each typed by its own route. */
export type PublishEntries<R extends readonly RouteLike[]> = { readonly [At in keyof R]: PublishEntry<R[At]> };
