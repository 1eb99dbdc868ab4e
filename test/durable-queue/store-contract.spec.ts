import { describe, test } from '@jest/globals';
import { diskRetryQueue, memoryRetryQueue } from 'nestjs-messaging';
import { type RetryQueueStoreHarness, retryQueueStoreContract } from 'nestjs-messaging/testing';
import { temporaryDirectory } from './support/queue.js';

const harnesses: readonly RetryQueueStoreHarness[] = [
  { name: 'memoryRetryQueue', durable: false, create: () => memoryRetryQueue() },
  { name: 'diskRetryQueue', durable: true, create: () => diskRetryQueue({ directory: temporaryDirectory() }) },
];

describe.each(harnesses)('the contract of retry queue stores: $name', (harness) => {
  for (const { name, skip, run } of retryQueueStoreContract(harness)) (skip ? test.skip : test)(name, run);
});
