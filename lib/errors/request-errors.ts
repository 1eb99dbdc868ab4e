import { brand } from './brand.js';
import { MessagingError, type MessagingErrorOptions } from './messaging-error.js';
import { redactCredentials } from './redact.js';

/** No reply came within the `timeout` of a request. Whether it was handled is not known; a reply that comes later is counted. */
export class RequestTimeoutError extends MessagingError {
  readonly code = 'REQUEST_TIMEOUT';
  readonly retryable = true;
}

/** The connection that a reply would have come by is gone, or the application stops. Whether the request was handled is not known. */
export class ReplyLostError extends MessagingError {
  readonly code = 'REPLY_LOST';
  readonly retryable = true;
}

/** 10,000 requests of this process wait for their reply already. Nothing was sent. */
export class TooManyRequestsError extends MessagingError {
  readonly code = 'TOO_MANY_REQUESTS';
  readonly retryable = true;
}

/** The request was handled and has no answer: its handler decided with an `Outcome`, or had handled it before (`idempotent`). */
export class NoAnswerError extends MessagingError {
  readonly code = 'NO_ANSWER';
  readonly retryable = false;
}

/** The responder stops, and its `onShutdown` is to say so. The request was not handled to its end. */
export class UnavailableError extends MessagingError {
  readonly code = 'UNAVAILABLE';
  readonly retryable = true;
}

/** The handler's `context.signal` was aborted because whoever asked waits no longer. */
export class RequestOverdueError extends MessagingError {
  readonly code = 'REQUEST_OVERDUE';
  readonly retryable = false;
}

export interface ReplyErrorOptions extends MessagingErrorOptions {
  /** More about it, as JSON has it. */
  readonly details?: unknown;
  /** Whether the same request can succeed later. Default false. */
  readonly retryable?: boolean;
}

/**
 * Thrown by the handler of a request: an answer like any other, that says no. The requester gets it as a RemoteError with
 * the same code, message and details; the request is acked.
 */
export class ReplyError extends MessagingError {
  readonly code: string;
  readonly retryable: boolean;
  readonly details: unknown;

  /** `code` is the application's own: `OUT_OF_STOCK`. */
  constructor(code: string, message: string, { details, retryable = false, cause }: ReplyErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.retryable = retryable;
    this.details = details;
  }
}

/**
 * What the responder answered instead of a reply. `code` is that of its ReplyError, or of the error of this package
 * (`INVALID_PAYLOAD`, `UNAVAILABLE`, …) that its handler failed with, or `HANDLER_FAILED`.
 */
export class RemoteError extends MessagingError {
  readonly code: string;
  readonly retryable: boolean;
  readonly details: unknown;

  /** @internal */
  constructor({ code, message, retryable, details }: ErrorReply) {
    super(message);
    this.code = code;
    this.retryable = retryable;
    this.details = details;
  }
}

/** An error as it travels. */
export interface ErrorReply {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly details?: unknown;
}

/** What a body says that was sent as an error, whatever it is. */
export function errorReplyOf(body: unknown): ErrorReply {
  const { code, message, retryable, details } = (typeof body === 'object' && body !== null ? body : {}) as Record<
    string,
    unknown
  >;
  return {
    code: typeof code === 'string' && code !== '' ? code : 'HANDLER_FAILED',
    message: typeof message === 'string' ? redactCredentials(message) : 'The responder answered with an error',
    retryable: retryable === true,
    details,
  };
}

brand({
  RequestTimeoutError,
  ReplyLostError,
  TooManyRequestsError,
  NoAnswerError,
  UnavailableError,
  RequestOverdueError,
  ReplyError,
  RemoteError,
});
