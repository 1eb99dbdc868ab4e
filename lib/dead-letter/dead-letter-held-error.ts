import { MessagingError } from '../errors/messaging-error.js';

/** Another process is sending the archived dead letter, or has died while it did, and then until its lease is over. */
export class DeadLetterHeldError extends MessagingError {
  readonly code = 'DEAD_LETTER_HELD';
  readonly retryable = true;

  constructor(readonly id: string) {
    super(
      `Another process is sending ${id || 'it'}, or died doing so: it is left where it is, and can be sent in some seconds`,
    );
  }
}
