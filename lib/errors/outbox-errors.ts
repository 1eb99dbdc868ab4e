import { brand } from './brand.js';
import { MessagingError } from './messaging-error.js';

/** `outbox.add` was given a client outside of a transaction, or one whose transaction has ended. Nothing was stored. */
export class NotInTransactionError extends MessagingError {
  readonly code = 'NOT_IN_TRANSACTION';
  readonly retryable = false;
}

/**
 * The transaction of a handler did not commit, or nobody can say yet: the message is handled again, which does nothing if it
 * did.
 */
export class TransactionRolledBackError extends MessagingError {
  readonly code = 'TRANSACTION_ROLLED_BACK';
  readonly retryable = true;
}

brand({ NotInTransactionError, TransactionRolledBackError });
