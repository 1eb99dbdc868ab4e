import { brand } from './brand.js';
import { MessagingError } from './messaging-error.js';

/** Thrown by a handler: trying again cannot help. The message goes straight to its dead-letter queue. */
export class UnrecoverableError extends MessagingError {
  readonly code = 'UNRECOVERABLE';
  readonly retryable = false;

  constructor(message = 'The handler declared this message unrecoverable', options?: { cause?: unknown }) {
    super(message, options);
  }
}

/** Thrown by a handler: try again after `delayMs` milliseconds instead of the policy's backoff. It spends an attempt. */
export class RetryLaterError extends MessagingError {
  readonly code = 'RETRY_LATER';
  readonly retryable = true;

  constructor(
    readonly delayMs: number,
    message = `The handler asks to be called again in ${delayMs} ms`,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

/** The handler did not settle within the subscription's `timeout`; its `context.signal` was aborted. */
export class HandlerTimeoutError extends MessagingError {
  readonly code = 'HANDLER_TIMEOUT';
  readonly retryable = true;
}

/** The body is not what its content type says, is nested too deeply, or is foreign to the serializer. */
export class UndecodableMessageError extends MessagingError {
  readonly code = 'UNDECODABLE';
  readonly retryable = false;
}

/** The message was delivered again and again without ever being settled: it kills the process that handles it. */
export class CrashedError extends MessagingError {
  readonly code = 'CRASHED';
  readonly retryable = false;
}

/** A guard or pipe refused the message. Retrying would ask it the same question. */
export class RefusedError extends MessagingError {
  readonly code = 'REFUSED';
  readonly retryable = false;
}

/** The payload, or the body that is to be published, does not fit the schema; the message says where. */
export class InvalidPayloadError extends MessagingError {
  readonly code = 'INVALID_PAYLOAD';
  readonly retryable = false;
}

/** A batch handler returned outcomes, but none for this message. It is retried. */
export class MissingOutcomeError extends MessagingError {
  readonly code = 'MISSING_OUTCOME';
  readonly retryable = true;
}

/**
 * A function of the application gave what its place does not take. Its message says which function, the type of what it
 * gave (never the value), and what is taken. The message that it was asked about is not retried.
 */
export class InvalidResultError extends MessagingError {
  readonly code = 'INVALID_RESULT';
  readonly retryable = false;
}

/** Several handlers share the queue, and none of them is for this message. */
export class NoHandlerError extends MessagingError {
  readonly code = 'NO_HANDLER';
  readonly retryable = false;
}

/** The idempotency store did not answer, or refused. The message is put off, with no attempt spent. */
export class IdempotencyStoreError extends MessagingError {
  readonly code = 'IDEMPOTENCY_STORE';
  readonly retryable = true;
}

/** The delivery is no longer ours: its channel or lease is gone and the broker delivers it again. */
export class DeliveryLostError extends MessagingError {
  readonly code = 'DELIVERY_LOST';
  readonly retryable = true;
}

/** A received message was given back with `nack()`, which was told no error. */
export class NackError extends MessagingError {
  readonly code = 'NACK';
  readonly retryable = true;
}

brand({
  UnrecoverableError,
  RetryLaterError,
  HandlerTimeoutError,
  UndecodableMessageError,
  CrashedError,
  RefusedError,
  InvalidPayloadError,
  MissingOutcomeError,
  InvalidResultError,
  NoHandlerError,
  IdempotencyStoreError,
  DeliveryLostError,
  NackError,
});
