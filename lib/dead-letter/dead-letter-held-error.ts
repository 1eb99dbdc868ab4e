import { brand } from '../errors/brand.js';
import { MessagingError } from '../errors/messaging-error.js';

/** The archived dead letter is another process's: it is sending it, or has died while it did and its lease is not over. */
export class DeadLetterHeldError extends MessagingError {
  readonly code = 'DEAD_LETTER_HELD';
  readonly retryable = true;

  constructor(readonly id: string) {
    super(
      `Another process is sending ${id || 'it'}, or died doing so: it is left where it is, and can be sent in some seconds`,
    );
  }
}

brand({ DeadLetterHeldError });
