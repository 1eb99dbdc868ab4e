import { brand } from '../errors/brand.js';
import { MessagingError } from '../errors/messaging-error.js';

/** Why the service did not take a message. */
export type RefusalCode =
  | 'invalid-header'
  | 'invalid-subject'
  | 'missing-subject'
  | 'loop'
  | 'too-large'
  | 'queue-full'
  | 'too-many-queues'
  | 'store-failed'
  | 'overloaded';

/** Each code with the number that NATS services use for it, and whether the same message can be taken later. */
export const REFUSALS: Readonly<Record<RefusalCode, { readonly status: number; readonly retryable: boolean }>> = {
  'invalid-header': { status: 400, retryable: false },
  'invalid-subject': { status: 400, retryable: false },
  'missing-subject': { status: 400, retryable: false },
  loop: { status: 400, retryable: false },
  'too-large': { status: 413, retryable: false },
  'queue-full': { status: 507, retryable: true },
  'too-many-queues': { status: 507, retryable: true },
  'store-failed': { status: 500, retryable: true },
  overloaded: { status: 429, retryable: true },
};

/** The requeue service did not take a message; `refusal` says why. Nothing of it was accepted. */
export class RequeueRefusedError extends MessagingError {
  readonly code = 'REQUEUE_REFUSED';
  readonly retryable: boolean;

  constructor(
    readonly refusal: RefusalCode,
    reason: string,
  ) {
    super(reason);
    this.retryable = REFUSALS[refusal]?.retryable ?? false;
  }
}

brand({ RequeueRefusedError });
