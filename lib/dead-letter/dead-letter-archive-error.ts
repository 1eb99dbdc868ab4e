import { brand } from '../errors/brand.js';
import { MessagingError } from '../errors/messaging-error.js';

/** The archive of dead letters cannot be written or read. What was to be archived stays in its dead-letter queue. */
export class DeadLetterArchiveError extends MessagingError {
  readonly code = 'DEAD_LETTER_ARCHIVE';
  readonly retryable = true;
}

brand({ DeadLetterArchiveError });
