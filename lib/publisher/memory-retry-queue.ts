import type { Publication } from './publication.js';
import type { RetryQueueStore, RetryQueueStoreFactory } from './retry-queue-store.js';

/** Keeps the publisher retry queue in the process's memory: fast, and gone with the process. The default. */
export function memoryRetryQueue(): RetryQueueStoreFactory {
  return { kind: 'memory', create: () => new MemoryRetryQueueStore() };
}

class MemoryRetryQueueStore implements RetryQueueStore {
  readonly kind = 'memory';
  private readonly entries = new Set<Publication>();

  get size(): number {
    return this.entries.size;
  }

  add(publication: Publication): void {
    this.entries.add(publication);
  }

  delete(publication: Publication): void {
    this.entries.delete(publication);
  }

  [Symbol.iterator](): IterableIterator<Publication> {
    return this.entries.values();
  }
}
