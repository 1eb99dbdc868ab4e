export {
  MessagingModule,
  type MessagingAsyncOptions,
  type MessagingOptionsFactory,
  type MessagingRegistration,
} from './messaging.module.js';
export { type MessagingModuleOptions, type RetryQueueOptions } from './messaging.options.js';
export { type DeadLettersOptions } from './dead-letter/dead-letter-options.js';
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
} from './consumer/subscription/subscribe.decorator.js';
export { type BatchHandlerDecorator, SubscribeBatch } from './consumer/subscription/subscribe-batch.decorator.js';
export {
  type BatchOptions,
  type BatchSubscriptionOptions,
  type DeadLetterQueueOptions,
  type Route,
  type SubscribeBatchRequest,
  type SubscribeRequest,
  type SubscriptionOptions,
  type SubscriptionOverride,
} from './consumer/subscription/subscription-options.js';
export { type Concurrency, type ConcurrencySurroundings, bounded, unbounded } from './consumer/schedule/concurrency.js';
export { type Schedule, type ScheduledMessage, type ScheduleTools } from './consumer/schedule/schedule.js';
export { type PartitionedOptions, type PartitionKey, partitioned } from './consumer/schedule/partitioned.js';
export { type IdempotencyStore } from './idempotency/idempotency-store.js';
export { type IdempotentOptions } from './idempotency/idempotent-options.js';
export { memoryIdempotencyStore } from './idempotency/memory-idempotency-store.js';
export { sqliteIdempotencyStore } from './idempotency/sqlite-idempotency-store.js';
export { type KillSwitchOptions } from './consumer/kill-switch.js';
export { RuntimeSubscription } from './consumer/runtime-subscription.js';
export { BatchContext, type BatchHandler, type BatchResult } from './pipeline/batch-context.js';
export { type ReceiveOptions } from './consumer/subscription/receive-options.js';
export { ReceivedMessage } from './consumer/receive/received-message.js';
export { Receiver } from './consumer/receive/receiver.js';
export { MessageContext } from './pipeline/message-context.js';
export { type Handler, type Middleware } from './pipeline/middleware.js';
export { type LoggingOptions, logging } from './pipeline/middleware/logging.js';
export { timing } from './pipeline/middleware/timing.js';
export { validation } from './pipeline/middleware/validation.js';
export { type TelemetryFactory } from './pipeline/telemetry.js';
export { Outcome } from './pipeline/outcome.js';
export { type DeadLetterReason } from './pipeline/dead-letter-reason.js';
export { type Backoff, type ExponentialOptions, exponential, fixed } from './retry/backoff.js';
export { type RetryOptions } from './retry/retry-policy.js';

export { Publisher } from './publisher/publisher.js';
export { type BatchingOptions } from './publisher/publish-batching.js';
export { type PublishEntry, type PublishOptions, type UnroutablePolicy } from './publisher/publish-options.js';
export { type PublishMiddleware, type PublishNext, type PublishRequest } from './publisher/publish-middleware.js';
export { type EntryResult, type Receipt, type Settlement } from './publisher/receipt.js';
export { memoryRetryQueue } from './publisher/memory-retry-queue.js';
export { diskRetryQueue } from './publisher/disk-retry-queue.js';
export { type RetryQueueStore } from './publisher/retry-queue-store.js';

export { DeadLetters } from './dead-letter/dead-letters.js';
export { ArchiveSearch, type ArchivedDeadLetter, type ArchiveSelection } from './dead-letter/archive-search.js';
export { type DeadLetterArchive } from './dead-letter/dead-letter-archive.js';
export { DeadLetterArchiveError } from './dead-letter/dead-letter-archive-error.js';
export { memoryDeadLetterArchive } from './dead-letter/memory-dead-letter-archive.js';
export { sqliteDeadLetterArchive } from './dead-letter/sqlite-dead-letter-archive.js';
export {
  type DeadLetterConditions,
  type DeadLetterPage,
  type DeadLetterSelection,
} from './dead-letter/dead-letter-selection.js';
export { type CanaryOptions, type RedriveOptions, type RedriveResult } from './dead-letter/redrive-options.js';
export { RedriveInterruptedError } from './dead-letter/redrive-interrupted-error.js';
export { type DeadLetter } from './dead-letter/dead-letter.js';
export { MessagingEvents, type MessagingEventMap, type MessagingEventName } from './events/messaging-events.js';
export { type ConsumerHealth, type HealthReport } from './health/health-report.js';

export { type Headers, type HeaderValue } from './message/headers.js';
export { type MessageContract, message } from './message/message-contract.js';
export { type StandardSchema } from './message/standard-schema.js';
export { type MessageProperties, type WireMessage } from './message/message.js';
export { type Serializer, jsonSerializer } from './message/serializer.js';
export { type BrokerOptions } from './transport/broker-options.js';
export { type Clock, systemClock } from './clock/clock.js';

export { type TransportFactory } from './transport/transport.js';
export { memory, type MemoryOptions } from './transports/memory/memory.js';
export { MemoryBroker } from './transports/memory/memory-broker.js';
export { type MemoryBrokerOptions, type MemorySubscriptionOptions } from './transports/memory/memory-options.js';

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
