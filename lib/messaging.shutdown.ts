import { setMaxListeners } from 'node:events';
import type { CancelTimer, Clock } from './clock/clock.js';
import type { ConsumerRegistry } from './consumer/consumer-registry.js';
import type { SharedPauses } from './consumer/shared-pauses.js';
import type { ReceiverRegistry } from './consumer/receive/receiver-registry.js';
import { until } from './clock/sleep.js';
import type { Coordination } from './coordination/coordination.js';
import type { Archiving } from './dead-letter/archiving.js';
import type { DeadLetterWatch } from './dead-letter/dead-letter-watch.js';
import { errorMessage } from './errors/redact.js';
import type { Log } from './events/log.js';
import type { ConnectionState } from './health/connection-state.js';
import type { DeadLetterCounts } from './health/dead-letter-counts.js';
import type { IdempotencyStorePool } from './idempotency/idempotency-store-pool.js';
import type { Telemetry } from './pipeline/telemetry.js';
import type { Dispatcher } from './publisher/dispatcher.js';
import type { Publisher } from './publisher/publisher.js';
import type { RecurringSchedules } from './recurring/recurring-schedules.js';
import type { Requester } from './request/requester.js';
import type { RetryQueueStore } from './publisher/retry-queue-store.js';
import { reportUnsent } from './publisher/unsent.js';
import type { Transactions } from './transaction/transactions.js';
import type { Transport } from './transport/transport.js';

/** What a step of the second phase gets at least, in milliseconds, when the time is used up. */
const MIN_FLUSH_MS = 500;

/** What one connection consists of, as far as it has to end. */
export interface ShutdownParts {
  readonly clock: Clock;
  readonly log: Log;
  /** Milliseconds for both phases together. */
  readonly timeout: number;
  readonly consumers: ConsumerRegistry;
  readonly receivers: ReceiverRegistry;
  readonly archiving: Archiving | undefined;
  readonly watch: DeadLetterWatch | undefined;
  readonly transactions: Transactions | undefined;
  readonly counts: DeadLetterCounts;
  readonly publisher: Publisher;
  readonly requester: Requester;
  readonly dispatcher: Dispatcher;
  readonly store: RetryQueueStore;
  readonly idempotencyStores: IdempotencyStorePool;
  readonly coordination: Coordination;
  readonly pauses: SharedPauses;
  readonly recurring: RecurringSchedules;
  readonly transport: Transport;
  readonly telemetry: Telemetry | undefined;
  readonly state: ConnectionState;
}

/** The end of one connection, in two phases. Asked again, each phase is the same. */
export class Shutdown {
  private intake: Promise<void> | undefined;
  private end: Promise<void> | undefined;
  private beganAt = 0;

  constructor(private readonly parts: ShutdownParts) {}

  /** The first phase has begun: nothing new starts. */
  get intakeStopped(): boolean {
    return this.intake !== undefined;
  }

  get isClosing(): boolean {
    return this.end !== undefined;
  }

  /** First phase: no new handler starts, running ones finish, the rest goes back. */
  stopIntake(): Promise<void> {
    return (this.intake ??= this.drainConsumers());
  }

  /** Second phase: publishes are flushed, connections close. */
  close(): Promise<void> {
    return (this.end ??= this.flushAndClose());
  }

  private async drainConsumers(): Promise<void> {
    const { clock, timeout, receivers, consumers, archiving, watch, transactions, recurring } = this.parts;
    this.beganAt = clock.monotonic();
    receivers.end();
    this.parts.pauses.stop();
    const { signal, cancel } = deadline(clock, timeout);
    const others = Promise.all([archiving?.stop(), watch?.stop(), transactions?.stop(), recurring.stop()]);
    await Promise.all([consumers.stop(signal), until(others, signal)]);
    cancel();
  }

  private async flushAndClose(): Promise<void> {
    await this.stopIntake();
    const { log, counts, publisher, requester, dispatcher, store, state, telemetry, transactions } = this.parts;
    counts.stop();
    requester.close();
    publisher.close();
    const { signal, cancel } = this.rest();
    await transactions?.drain(signal);
    const unsent = await dispatcher.close(signal);
    cancel();
    const kept = store.depth;
    if (store.kind === 'disk' && kept > 0)
      log.log(`${kept} messages are kept on disk and are sent by the next process`);
    reportUnsent(transactions ? unsent.filter(({ id }) => !transactions.keeps(id)) : unsent, log);
    await this.closeQuietly('The store of transaction records', async () => this.closeTransactions());
    await this.closeQuietly('The idempotency store', () => this.parts.idempotencyStores.close());
    await this.closeQuietly('The coordination store', () => this.parts.coordination.close());
    await this.closeQuietly('The dead-letter archive', async () => this.parts.archiving?.close());
    await this.closeQuietly('The connection', () => this.parts.transport.close());
    telemetry?.close();
    state.set('closed');
  }

  private async closeTransactions(): Promise<void> {
    const { signal, cancel } = this.rest();
    try {
      await this.parts.transactions?.close(signal);
    } finally {
      cancel();
    }
  }

  /** What is left of the time. */
  private rest(): ReturnType<typeof deadline> {
    const { clock, timeout } = this.parts;
    return deadline(clock, Math.max(MIN_FLUSH_MS, timeout - (clock.monotonic() - this.beganAt)));
  }

  private async closeQuietly(what: string, close: () => Promise<void>): Promise<void> {
    try {
      await close();
    } catch (error) {
      this.parts.log.error(`${what} could not be closed: ${errorMessage(error)}`);
    }
  }
}

/** A signal that is aborted after `ms` milliseconds, unless it is cancelled before. */
export function deadline(clock: Clock, ms: number): { readonly signal: AbortSignal; readonly cancel: CancelTimer } {
  const controller = new AbortController();
  // One listener per subscription is no leak.
  setMaxListeners(0, controller.signal);
  const cancel = clock.after(ms, () => controller.abort());
  return { signal: controller.signal, cancel };
}
