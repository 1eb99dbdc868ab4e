import type { MessagingError } from '../errors/messaging-error.js';
import type { WireMessage } from '../message/message.js';

/** Where a message is sent. */
export type Destination =
  /** To every queue bound for the route. `topic` left out: the transport's default. */
  | { readonly kind: 'route'; readonly topic?: string; readonly route: string }
  /** To one queue by its name. */
  | { readonly kind: 'queue'; readonly queue: string }
  /** To the dead-letter queues bound by this dead-letter route, on an exchange that no pattern reaches. */
  | { readonly kind: 'dead-letter'; readonly route: string };

/** One message to be published. The object handed in is handed back with its result: callers keep their state on it. */
export interface Outgoing {
  readonly to: Destination;
  readonly message: WireMessage;
  /**
   * What a broker that de-duplicates compares: equal for resends of one publish, different for every other one, also one
   * with the same message id, and for every copy.
   */
  readonly dedupeId: string;
  /**
   * Deliver not before this wall-clock time in milliseconds. A transport whose broker cannot delay a publish, but holds
   * what is released (`retry: 'redelivery'`), may write it into `messaging-not-before` and deliver at once: whoever
   * receives it early releases it until then.
   */
  readonly dueAt?: number;
  /** Report `unroutable` when no queue takes the message. */
  readonly mandatory: boolean;
}

/** The fate of one publish. */
export type PublishResult =
  /** The broker has taken responsibility. */
  | { readonly status: 'confirmed' }
  /** The broker told that no queue takes it (only when `mandatory`). */
  | { readonly status: 'unroutable'; readonly error: MessagingError }
  /** Trying again cannot help. */
  | { readonly status: 'refused'; readonly error: MessagingError }
  /** A passing reason. The copy may or may not be stored, but nothing of it is under way any more: one resend is safe. */
  | {
      readonly status: 'failed';
      readonly error: MessagingError;
      /** The broker answered that it does not take this message now (a queue is full); other queues may have taken it. */
      readonly nacked?: boolean;
      /** What the message needs on the broker is not there, and this process may not make it: `error` says what. */
      readonly missing?: boolean;
    };

export const CONFIRMED: PublishResult = Object.freeze({ status: 'confirmed' });
