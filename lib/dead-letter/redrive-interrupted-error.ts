import { brand } from '../errors/brand.js';
import { MessagingError, type MessagingErrorOptions } from '../errors/messaging-error.js';
import type { RedriveResult } from './redrive-options.js';

/** A redrive could not go on, mostly because the connection was lost. `result` says how far it came; the same call goes on. */
export class RedriveInterruptedError extends MessagingError {
  readonly code = 'REDRIVE_INTERRUPTED';
  readonly retryable = true;

  constructor(
    message: string,
    readonly result: RedriveResult,
    options?: MessagingErrorOptions,
  ) {
    super(message, options);
  }
}

brand({ RedriveInterruptedError });
