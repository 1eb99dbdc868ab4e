import type { RetryQueueStoreFactory } from '../publisher/retry-queue-store.js';
import { StoreBed } from './store/store-bed.js';
import { storeCases } from './store/store.cases.js';

/** A store under test. */
export interface RetryQueueStoreHarness {
  readonly name: string;
  /** A factory whose stores begin empty; two stores of one factory, one after the other, share what is kept. */
  create(): RetryQueueStoreFactory | Promise<RetryQueueStoreFactory>;
  /** What was accepted outlives the store: another one of the same factory finds it. */
  readonly durable: boolean;
}

/** One promise that every store keeps. */
export interface RetryQueueStoreCase {
  /** Unique and stable. */
  readonly name: string;
  /** This store cannot promise what the case asks. */
  readonly skip: boolean;
  /** Resolves when the promise is kept, rejects (with an `AssertionError` of node:assert) when it is broken. */
  readonly run: () => Promise<void>;
}

/**
 * What the publisher retry queue relies on, as runnable cases for any test runner.
 *
 * @example Under node:test
 * ```ts
 * import { test } from 'node:test';
 * import { memoryRetryQueue } from 'nestjs-messaging';
 * import { retryQueueStoreContract } from 'nestjs-messaging/testing';
 *
 * const harness = { name: 'memory', durable: false, create: () => memoryRetryQueue() };
 * for (const { name, skip, run } of retryQueueStoreContract(harness)) test(name, { skip }, run);
 * ```
 */
export function retryQueueStoreContract(harness: RetryQueueStoreHarness): RetryQueueStoreCase[] {
  return storeCases.map(({ name, durable = false, run }) => ({
    name,
    skip: durable && !harness.durable,
    async run() {
      const bed = new StoreBed(await harness.create());
      try {
        await bed.store.open();
        await run(bed);
      } finally {
        bed.store.close();
      }
    },
  }));
}
