import type { Publication } from './publication.js';

/**
 * Where the publisher retry queue keeps what waits, in the order it came. A message is accepted when `add` has returned.
 */
export interface RetryQueueStore {
  readonly kind: 'memory' | 'disk';
  readonly size: number;
  add(publication: Publication): void;
  delete(publication: Publication): void;
  /** In order; entries added while it runs are visited too. */
  [Symbol.iterator](): IterableIterator<Publication>;
}

/** Makes the store of one publisher: what `retryQueue.store` takes. */
export interface RetryQueueStoreFactory {
  readonly kind: 'memory' | 'disk';
  create(): RetryQueueStore;
}
