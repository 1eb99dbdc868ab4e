import type { ConsumerState } from '../consumer/gate.js';
import type { DeadLetterWatchReport } from '../dead-letter/dead-letter-watch.js';
import type { OtherRetryQueue } from '../publisher/retry-queue-store.js';
import type { CoordinationHealth } from '../coordination/coordination.js';
import type { DeclinedDestination } from '../publisher/nacked-destinations.js';
import type { ConsumerGroup } from '../transport/consumer-group.js';
import type { IdempotencyCounts } from '../idempotency/idempotent-handling.js';
import type { TransactionsHealth } from '../transaction/transactions.js';

/** What `messaging.health()` says; assembled from memory, without asking the broker, and without credentials. */
export interface HealthReport {
  /** `down`: no connection. `degraded`: connected, but something needs attention (see the parts). */
  readonly status: 'up' | 'degraded' | 'down';
  readonly connection: ConnectionHealth;
  readonly consumers: readonly ConsumerHealth[];
  readonly retryQueue: RetryQueueHealth;
  readonly deadLetters: DeadLetterHealth;
  /** Delayed messages seen due with no queue to take them; they are kept and tried again. Left out when there are none. */
  readonly undeliverable?: number;
  /** Transactional sends, where there is a store for their records. */
  readonly transactions?: TransactionsHealth;
  /** The coordination store that processes share, where there is one. */
  readonly coordination?: CoordinationHealth;
}

export interface ConnectionHealth {
  readonly state: 'connected' | 'connecting' | 'blocked' | 'closed';
  /** Since when, as an ISO time. */
  readonly since: string;
  readonly host: string;
  readonly blocked: boolean;
  /** Why it is not connected. */
  readonly reason?: string;
  /** What to look at while it is not connected or blocked, in one sentence. */
  readonly advice?: string;
  /** What the server said of itself when it was looked at last: on Redis what its confirms are worth. */
  readonly server?: Readonly<Record<string, string>>;
}

export interface ConsumerHealth {
  readonly queue: string;
  readonly state: ConsumerState;
  /** Messages in this process that are not settled yet. */
  readonly inFlight: number;
  /** Why it is `waiting` or stopped by its kill switch, that it gets nothing though messages are ready, that handlers run past their timeout, that its lanes are full, or its copies cannot be written. */
  readonly reason?: string;
  /** Who reads the queue, and how far behind they are, where the broker shares it by partitions. */
  readonly group?: ConsumerGroup;
  /** What an `idempotent` subscription has recognised since its start. */
  readonly idempotency?: IdempotencyCounts;
}

export interface RetryQueueHealth {
  readonly store: 'memory' | 'disk';
  readonly depth: number;
  readonly bytes: number;
  readonly oldestAgeMs: number;
  /** What the broker takes nothing for, though it is connected (a queue is full): at most ten. Left out when there are none. */
  readonly nacked?: readonly DeclinedDestination[];
  /** On disk: false while it cannot be written; a publish that has to wait is rejected then. */
  readonly healthy?: boolean;
  /** On disk: messages taken over from processes that died, since the start. */
  readonly adopted?: number;
  /** On disk: files and messages that could not be read and were put aside, since the start. */
  readonly quarantined?: number;
  /** On disk: messages in its directory that another application has to send. They are left alone. */
  readonly others?: readonly OtherRetryQueue[];
}

export interface DeadLetterHealth extends DeadLetterWatchReport {
  /** Messages this process was told to send and cannot. */
  readonly publisher: number;
  /** Dead-letter queues of this process's subscriptions, counted by the broker `ageMs` milliseconds ago. */
  readonly queues: readonly { readonly queue: string; readonly count: number; readonly ageMs: number }[];
}
