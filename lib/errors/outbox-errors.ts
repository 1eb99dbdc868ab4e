import { brand } from './brand.js';
import { MessagingError } from './messaging-error.js';

/** `outbox.add` was given a client outside of a transaction, or one whose transaction has ended. Nothing was stored. */
export class NotInTransactionError extends MessagingError {
  readonly code = 'NOT_IN_TRANSACTION';
  readonly retryable = false;
}

brand({ NotInTransactionError });
