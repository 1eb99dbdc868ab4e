export { ManualClock } from '../clock/manual-clock.js';
export {
  type CoordinationStoreBed,
  type CoordinationStoreCase,
  type CoordinationStoreHarness,
  coordinationStoreContract,
} from './coordination-store-contract.js';
export {
  type DeadLetterArchiveBed,
  type DeadLetterArchiveCase,
  type DeadLetterArchiveHarness,
  deadLetterArchiveContract,
} from './dead-letter-archive-contract.js';
export {
  type IdempotencyStoreBed,
  type IdempotencyStoreCase,
  type IdempotencyStoreHarness,
  idempotencyStoreContract,
} from './idempotency-store-contract.js';
export { runScenario, type ScenarioTrace } from './scenario.js';
export { type GroupTrace } from './scenario-group.js';
export { type ContractCase, transportContract } from './transport-contract.js';
export {
  type ContractNeed,
  type HarnessEnvironment,
  type HarnessFaults,
  type HarnessOverrides,
  type HarnessPeer,
  type PeerMessage,
  POISON,
  type TransportHarness,
} from './transport-harness.js';
export {
  type RetryQueueStoreCase,
  type RetryQueueStoreHarness,
  retryQueueStoreContract,
} from './retry-queue-store-contract.js';
export {
  type TransactionRecordsBed,
  type TransactionRecordsCase,
  type TransactionRecordsHarness,
  transactionRecordsContract,
} from './transaction-records-contract.js';
export { MessagingTestingModule } from './messaging-testing.module.js';
export { MessagingProbe, type MessagingTestingOptions } from './messaging-probe.js';
export { ExpectationError, type MessageFilter, type WaitOptions } from './expectation.js';
export {
  type DeadLetteredMessage,
  type FailedCall,
  type HandledMessage,
  type MessagingHistory,
  type PublishedMessage,
  type RefusedPublish,
} from './journal.js';
export { type MemoryQueueStatus } from '../transports/memory/memory-broker.js';
export { type FaultHits, MemoryFaults } from '../transports/memory/memory-faults.js';
