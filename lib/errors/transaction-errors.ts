import { brand } from './brand.js';
import { MessagingError } from './messaging-error.js';

/** The store of transaction records failed. Thrown by `publishInTransaction`: the local transaction was not begun. */
export class TransactionRecordError extends MessagingError {
  readonly code = 'TRANSACTION_RECORD';
  readonly retryable = true;
}

/**
 * Nobody can say yet whether the local transaction committed. Its record is kept and asked about: the message is sent if it
 * did. Do not run the transaction again without looking.
 */
export class TransactionUnknownError extends MessagingError {
  readonly code = 'TRANSACTION_UNKNOWN';
  readonly retryable = false;

  constructor(
    /** The transaction's id, as the local transaction was given it. */
    readonly id: string,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

/** The reason of a local transaction's aborted `signal`: it takes longer than its `timeout`. */
export class TransactionTimeoutError extends MessagingError {
  readonly code = 'TRANSACTION_TIMEOUT';
  readonly retryable = false;
}

brand({ TransactionRecordError, TransactionUnknownError, TransactionTimeoutError });
