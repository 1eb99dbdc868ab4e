import { brand } from './brand.js';
import { MessagingError } from './messaging-error.js';

/** No queue is bound for the route (or the named queue does not exist), and the policy is `reject`. */
export class UnroutableError extends MessagingError {
  readonly code = 'UNROUTABLE';
  readonly retryable = false;
}

/** The body with its headers exceeds what the broker or the transport takes. */
export class MessageTooLargeError extends MessagingError {
  readonly code = 'MESSAGE_TOO_LARGE';
  readonly retryable = false;
}

/**
 * The body or a header cannot be turned into bytes, or would be turned into something else without a word: a number that is
 * not finite, an invalid date, in a body a Map or Set. Also where bytes cannot be turned into a body.
 */
export class SerializationError extends MessagingError {
  readonly code = 'SERIALIZATION';
  readonly retryable = false;
}

/** The publisher retry queue holds its maximum of messages or bytes, and waiting did not help. Nothing was accepted. */
export class RetryQueueFullError extends MessagingError {
  readonly code = 'RETRY_QUEUE_FULL';
  readonly retryable = true;
}

/** The store of the publisher retry queue cannot be written or read: a full disk, a directory without access. Nothing was accepted. */
export class RetryQueueStoreError extends MessagingError {
  readonly code = 'RETRY_QUEUE_STORE';
  readonly retryable = true;
}

/** The application is closing: this publisher takes nothing more. */
export class PublisherClosedError extends MessagingError {
  readonly code = 'PUBLISHER_CLOSED';
  readonly retryable = false;
}

/** The time to live of a message ran out before the broker took it, or before a handler saw it. */
export class MessageExpiredError extends MessagingError {
  readonly code = 'MESSAGE_EXPIRED';
  readonly retryable = false;
}

/**
 * The broker refused this one message for good: by a precondition on its properties, say, or by closing the connection each
 * time that it got this message alone.
 */
export class PublishRefusedError extends MessagingError {
  readonly code = 'PUBLISH_REFUSED';
  readonly retryable = false;
}

/** The broker did not take the message for a passing reason: a nack, a lost channel, no confirm in time. */
export class PublishFailedError extends MessagingError {
  readonly code = 'PUBLISH_FAILED';
  readonly retryable = true;
}

/** There is no connection to the broker, or the broker blocks publishing. */
export class NotConnectedError extends MessagingError {
  readonly code = 'NOT_CONNECTED';
  readonly retryable = true;
}

/** A message that waited for its time was taken back by `publisher.cancel`. */
export class PublishCancelledError extends MessagingError {
  readonly code = 'PUBLISH_CANCELLED';
  readonly retryable = false;
}

/** Asked for too late: whether a queued message was sent, or given up and its dead letter deleted, is not known any more. */
export class SettlementUnknownError extends MessagingError {
  readonly code = 'SETTLEMENT_UNKNOWN';
  readonly retryable = false;
}

brand({
  UnroutableError,
  MessageTooLargeError,
  SerializationError,
  RetryQueueFullError,
  RetryQueueStoreError,
  PublisherClosedError,
  MessageExpiredError,
  PublishRefusedError,
  PublishFailedError,
  NotConnectedError,
  PublishCancelledError,
  SettlementUnknownError,
});
