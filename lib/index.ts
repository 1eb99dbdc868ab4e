export {
  MessagingModule,
  type MessagingAsyncOptions,
  type MessagingOptionsFactory,
  type MessagingRegistration,
} from './messaging.module.js';
export { type DeadLettersOptions, type MessagingModuleOptions, type RetryQueueOptions } from './messaging.options.js';
export { Messaging } from './messaging.js';
export {
  InjectDeadLetters,
  InjectMessaging,
  InjectPublisher,
  getDeadLettersToken,
  getMessagingToken,
  getPublisherToken,
} from './messaging.tokens.js';
export { MESSAGING_CONTEXT } from './messaging.enhancers.js';

export {
  type HandlerDecorator,
  Subscribe,
  type SubscribeDecorator,
  type Untyped,
} from './consumer/subscribe.decorator.js';
export { type BatchHandlerDecorator, SubscribeBatch } from './consumer/subscribe-batch.decorator.js';
export {
  type BatchOptions,
  type BatchSubscriptionOptions,
  type DeadLetterQueueOptions,
  type DecoratedBatchRequest,
  type DecoratedRequest,
  type Route,
  type SubscribeBatchRequest,
  type SubscribeRequest,
  type SubscriptionOptions,
  type SubscriptionOverride,
  type TypedSubscribeBatchRequest,
  type TypedSubscribeRequest,
  type UntypedSubscribeBatchRequest,
  type UntypedSubscribeRequest,
} from './consumer/subscription-options.js';
export { type Concurrency, type ConcurrencySurroundings, bounded, unbounded } from './consumer/concurrency.js';
export { type Schedule, type Scheduled, type ScheduleTools } from './consumer/schedule.js';
export { type PartitionedOptions, type PartitionKey, partitioned } from './consumer/partitioned.js';
export {
  type Claim,
  type IdempotencyStore,
  type IdempotencyStoreEnvironment,
  type IdempotencyStoreFactory,
} from './idempotency/idempotency-store.js';
export { type IdempotencyCounts } from './idempotency/idempotent-handling.js';
export { type IdempotentOptions } from './idempotency/idempotent-options.js';
export { type MemoryIdempotencyStoreOptions, memoryIdempotencyStore } from './idempotency/memory-idempotency-store.js';
export { type SqliteIdempotencyStoreOptions, sqliteIdempotencyStore } from './idempotency/sqlite-idempotency-store.js';
export { type KillSwitchOptions } from './consumer/kill-switch.js';
export { RuntimeSubscription } from './consumer/runtime-subscription.js';
export { BatchContext, type BatchHandler, type BatchResult } from './pipeline/batch-context.js';
export {
  type ReceiveOptions,
  type TypedReceiveRequest,
  type UntypedReceiveRequest,
} from './consumer/receive-options.js';
export { ReceivedMessage } from './consumer/received-message.js';
export { Receiver } from './consumer/receiver.js';
export { type Settled } from './consumer/settlement.js';
export { MessageContext } from './pipeline/message-context.js';
export { type Handler, type Middleware } from './pipeline/middleware.js';
export { type LoggingOptions, logging } from './pipeline/middleware/logging.js';
export { type TimingObserver, timing } from './pipeline/middleware/timing.js';
export { validation } from './pipeline/middleware/validation.js';
export { type TelemetryFactory } from './pipeline/telemetry.js';
export { Outcome } from './pipeline/outcome.js';
export { type DeadLetterReason } from './pipeline/dead-letter-reason.js';
export { type Backoff, type BackoffSchedule, type ExponentialOptions, exponential, fixed } from './retry/backoff.js';
export { type RetryOptions } from './retry/retry-policy.js';

export { Publisher } from './publisher/publisher.js';
export { type BatchingOptions } from './publisher/publish-batching.js';
export {
  type PublishEntries,
  type PublishEntry,
  type PublishOptions,
  type UnroutablePolicy,
} from './publisher/publish-options.js';
export { type PublishMiddleware, type PublishNext, type PublishRequest } from './publisher/publish-middleware.js';
export { type EntryResult, type Receipt, type Settlement } from './publisher/receipt.js';
export { memoryRetryQueue } from './publisher/memory-retry-queue.js';
export { type DiskRetryQueueOptions, diskRetryQueue } from './publisher/disk-retry-queue.js';
export {
  type OtherRetryQueue,
  type QueuedMessage,
  type RetryQueueStore,
  type RetryQueueStoreEnvironment,
  type RetryQueueStoreFactory,
  type RetryQueueStoreReport,
  type StoredMessage,
} from './publisher/retry-queue-store.js';
export { type Death, type PublisherDeadLetter, type PublisherDeadLetters } from './publisher/publisher-dead-letters.js';

export { DeadLetters } from './dead-letter/dead-letters.js';
export {
  ArchivedDeadLetters,
  type ArchivedDeadLetter,
  type ArchiveSelection,
} from './dead-letter/archived-dead-letters.js';
export {
  type ArchivedEntry,
  type ArchiveEntry,
  type ArchiveQuery,
  type DeadLetterArchive,
  type DeadLetterArchiveFactory,
} from './dead-letter/dead-letter-archive.js';
export { DeadLetterArchiveError } from './dead-letter/dead-letter-archive-error.js';
export { memoryDeadLetterArchive } from './dead-letter/memory-dead-letter-archive.js';
export {
  type SqliteDeadLetterArchiveOptions,
  sqliteDeadLetterArchive,
} from './dead-letter/sqlite-dead-letter-archive.js';
export {
  type DeadLetterConditions,
  type DeadLetterPage,
  type DeadLetterSelection,
} from './dead-letter/dead-letter-selection.js';
export {
  type Canary,
  type CanaryOptions,
  type DeadLetterChange,
  type RedriveOptions,
  type RedriveProgress,
  type RedriveResult,
} from './dead-letter/redrive-options.js';
export { RedriveInterruptedError } from './dead-letter/redrive-interrupted-error.js';
export { type DeadLetter } from './dead-letter/dead-letter.js';
export { MessagingEvents, type MessagingEventMap, type MessagingEventName } from './events/messaging-events.js';
export {
  type ConnectionHealth,
  type ConsumerHealth,
  type DeadLetterHealth,
  type HealthReport,
  type RetryQueueHealth,
} from './health/health-report.js';

export { type Headers, type HeaderValue } from './message/headers.js';
export { type BodyOf, type MessageContract, message, type UntypedRoute } from './message/message-contract.js';
export { type SchemaIssue, type SchemaResult, type StandardSchema } from './message/standard-schema.js';
export { type MessageProperties, type WireMessage } from './message/message.js';
export { type SerializedPayload, type Serializer, jsonSerializer } from './message/serializer.js';
export { type BrokerOptions } from './transport/broker-options.js';
export { type Clock, systemClock } from './clock/clock.js';
export { SteadyTime } from './clock/steady-time.js';

export {
  type Transport,
  type TransportEnvironment,
  type TransportEvent,
  type TransportFactory,
  type ReconnectPolicy,
} from './transport/transport.js';
export { memory, type MemoryOptions } from './transports/memory/memory.js';
export { MemoryBroker, type MemoryQueueStatus } from './transports/memory/memory-broker.js';
export { type MemoryBrokerOptions, type MemorySubscriptionOptions } from './transports/memory/memory-options.js';
export { type FaultHits, MemoryFaults } from './transports/memory/memory-faults.js';

export { MessagingError } from './errors/messaging-error.js';
export {
  BrokerConfigurationError,
  InvalidOptionError,
  MissingPeerError,
  SubscriptionConflictError,
  TopologyMismatchError,
  UnsupportedError,
} from './errors/configuration-errors.js';
export {
  MessageExpiredError,
  MessageTooLargeError,
  NotConnectedError,
  PublishCancelledError,
  PublishFailedError,
  PublishRefusedError,
  PublisherClosedError,
  RetryQueueFullError,
  RetryQueueStoreError,
  SerializationError,
  SettlementUnknownError,
  UnroutableError,
} from './errors/publish-errors.js';
export {
  CrashedError,
  DeliveryLostError,
  HandlerTimeoutError,
  IdempotencyStoreError,
  InvalidPayloadError,
  InvalidResultError,
  MissingOutcomeError,
  NackError,
  NoHandlerError,
  RefusedError,
  RetryLaterError,
  UndecodableMessageError,
  UnrecoverableError,
} from './errors/handling-errors.js';
