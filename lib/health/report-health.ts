import type { QueueConsumer } from '../consumer/queue-consumer.js';
import type { Coordination } from '../coordination/coordination.js';
import type { SharedPauses } from '../consumer/shared-pauses.js';
import type { Dispatcher } from '../publisher/dispatcher.js';
import type { RetryQueueStore } from '../publisher/retry-queue-store.js';
import type { DeadLetterWatch } from '../dead-letter/dead-letter-watch.js';
import type { Transactions } from '../transaction/transactions.js';
import type { Transport } from '../transport/transport.js';
import type { ConnectionState } from './connection-state.js';
import type { DeadLetterCounts } from './dead-letter-counts.js';
import type { ConsumerHealth, HealthReport } from './health-report.js';

export interface HealthSources {
  readonly state: ConnectionState;
  readonly transport: Transport;
  readonly consumers: Iterable<QueueConsumer>;
  readonly pauses?: Pick<SharedPauses, 'reasonOf'>;
  readonly dispatcher: Pick<Dispatcher, 'retryQueue' | 'nacked' | 'undeliverableCount'>;
  readonly store: RetryQueueStore;
  readonly deadLetterCounts: DeadLetterCounts;
  readonly watch?: DeadLetterWatch;
  readonly transactions?: Transactions;
  readonly coordination?: Pick<Coordination, 'health'>;
}

/** Puts the report together from what the parts of a connection know of themselves. */
export function reportHealth(sources: HealthSources): HealthReport {
  const { state, transport, dispatcher, store, deadLetterCounts } = sources;
  const { retryQueue } = dispatcher;
  const publisherDeadLetters = store.deadLetters.size;
  const { healthy = true, others = [], ...counts } = store.report ?? {};
  const consumers = [...sources.consumers]
    .flatMap((one) => one.queues().map((report) => ({ report, paused: sources.pauses?.reasonOf(one.definition.name) })))
    .map(({ report: { queue, state, inFlight, reason: own, idempotency }, paused: reason = own }) => ({
      queue,
      state,
      inFlight,
      ...(reason !== undefined && { reason }),
      ...groupOf(transport, queue),
      ...(idempotency && { idempotency: { ...idempotency } }),
    }));
  const undeliverable = dispatcher.undeliverableCount + (transport.queues?.undeliverable?.() ?? 0);
  const nacked = retryQueue.depth > 0 ? dispatcher.nacked.report() : [];
  const transactions = sources.transactions?.health();
  const coordination = sources.coordination?.health();
  const wanting =
    sources.watch?.isAlerted ||
    (transactions && (transactions.parked > 0 || transactions.unsent > 0 || transactions.reason !== undefined)) ||
    coordination?.reachable === false ||
    nacked.length > 0 ||
    state.blocked ||
    publisherDeadLetters > 0 ||
    undeliverable > 0 ||
    !healthy ||
    (store.report?.quarantined ?? 0) > 0 ||
    others.some(({ running }) => !running) ||
    consumers.some(({ state: consumer, reason }) => consumer === 'waiting' || reason !== undefined);
  return {
    status: !state.connected ? 'down' : wanting ? 'degraded' : 'up',
    connection: { ...state.report(transport.host), ...(transport.server && { server: transport.server }) },
    consumers,
    retryQueue: {
      store: retryQueue.kind,
      depth: retryQueue.depth,
      bytes: retryQueue.bytes,
      oldestAgeMs: retryQueue.oldestAgeMs,
      ...(nacked.length > 0 && { nacked }),
      ...(store.report && { healthy, ...counts }),
      ...(others.length > 0 && { others }),
    },
    deadLetters: { publisher: publisherDeadLetters, queues: deadLetterCounts.report(), ...sources.watch?.report() },
    ...(undeliverable > 0 && { undeliverable }),
    ...(transactions && { transactions }),
    ...(coordination && { coordination }),
  };
}

function groupOf(transport: Transport, queue: string): Pick<ConsumerHealth, 'group'> {
  const group = transport.group?.(queue);
  return group ? { group } : {};
}
