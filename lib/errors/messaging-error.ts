import { brand } from './brand.js';

export interface MessagingErrorOptions {
  /** What caused it. It must not carry a secret: transports redact before they wrap. */
  readonly cause?: unknown;
}

/**
 * The base of every error this package throws, rejects with or reports.
 *
 * `code` is stable across releases and safe to branch on. `retryable` says whether the same call can succeed later
 * without a change in the program: a lost connection is retryable, an unroutable message or a wrong option is not.
 */
export abstract class MessagingError extends Error {
  abstract readonly code: string;
  abstract readonly retryable: boolean;

  constructor(message: string, options?: MessagingErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

brand({ MessagingError });
