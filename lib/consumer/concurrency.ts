import { InvalidOptionError } from '../errors/configuration-errors.js';

/** How many handlers of one subscription run at a time in one process. */
export interface Concurrency {
  readonly kind: 'bounded' | 'unbounded';
  /** Handlers at a time; Infinity when unbounded (the prefetch is still the limit). */
  readonly limit: number;
}

/**
 * At most `limit` handlers at a time; what was prefetched beyond that waits in the process. With a `timeout`, a handler
 * that ignores its aborted signal counts for at most twice the timeout.
 */
export function bounded(limit: number): Concurrency {
  if (!Number.isInteger(limit) || limit < 1)
    throw new InvalidOptionError('bounded(limit)', limit, 'a whole number, 1 or more');
  return { kind: 'bounded', limit };
}

/** Every prefetched message is handled at once: the prefetch is the limit. The default. */
export function unbounded(): Concurrency {
  return { kind: 'unbounded', limit: Infinity };
}
