import { brand } from './brand.js';
import { MessagingError } from './messaging-error.js';

/** The coordination store did not answer, or refused: what several processes share is not known now. */
export class CoordinationStoreError extends MessagingError {
  readonly code = 'COORDINATION_STORE';
  readonly retryable = true;
}

brand({ CoordinationStoreError });
