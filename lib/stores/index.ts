export { CoordinationStoreError } from '../errors/coordination-errors.js';
export { type Clock } from '../clock/clock.js';
export { type RedisClient } from '../clients/redis-client.js';
export { SteadyTime } from '../clock/steady-time.js';
export {
  type Claim,
  type IdempotencyStore,
  type IdempotencyStoreEnvironment,
  type IdempotencyStoreFactory,
} from '../idempotency/idempotency-store.js';
export { type MemoryIdempotencyStoreOptions } from '../idempotency/memory-idempotency-store.js';
export { type SqliteIdempotencyStoreOptions } from '../idempotency/sqlite-idempotency-store.js';
export { redisIdempotencyStore, type RedisIdempotencyStoreOptions } from './redis-idempotency-store.js';
export { type RedisBytesClient } from '../clients/redis-client.js';
export { type RedisStoreOptions } from '../clients/shared-redis-keys.js';
export { redisDeadLetterArchive } from './redis-dead-letter-archive.js';
export { redisTransactionRecords } from './redis-transaction-records.js';
export { type DiskRetryQueueOptions } from '../publisher/disk-retry-queue.js';
export {
  type OtherRetryQueue,
  type QueuedMessage,
  type RetryQueueStore,
  type RetryQueueStoreEnvironment,
  type RetryQueueStoreFactory,
  type RetryQueueStoreReport,
  type StoredMessage,
} from '../publisher/retry-queue-store.js';
export {
  type Death,
  type PublisherDeadLetter,
  type PublisherDeadLetters,
} from '../publisher/publisher-dead-letters.js';
export {
  type ArchivedEntry,
  type DeadLetterEntry,
  type ArchiveQuery,
  type DeadLetterArchive,
  type DeadLetterArchiveFactory,
} from '../dead-letter/dead-letter-archive.js';
export { type SqliteDeadLetterArchiveOptions } from '../dead-letter/sqlite-dead-letter-archive.js';
export { type PostgresStoreOptions } from '../clients/shared-postgres-table.js';
export { postgresIdempotencyStore } from './postgres-idempotency-store.js';
export { postgresDeadLetterArchive } from './postgres-dead-letter-archive.js';
export { postgresTransactionRecords } from './postgres-transaction-records.js';
export { postgresStoreSchema } from './postgres-store-schema.js';
export {
  type Change,
  type Changed,
  type CoordinationStore,
  type CoordinationStoreEnvironment,
  type CoordinationStoreFactory,
} from '../coordination/coordination-store.js';
export { type CoordinationHealth } from '../coordination/coordination.js';
export { memoryCoordinationStore } from '../coordination/memory-coordination-store.js';
export {
  sqliteCoordinationStore,
  type SqliteCoordinationStoreOptions,
} from '../coordination/sqlite-coordination-store.js';
export { postgresCoordinationStore } from './postgres-coordination-store.js';
export { redisCoordinationStore } from './redis-coordination-store.js';
export { natsCoordinationStore } from './nats-coordination-store.js';
export { type NatsStoreOptions } from '../transports/nats/bucket-options.js';
