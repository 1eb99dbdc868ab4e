import { SteadyTime } from './clock/steady-time.js';
import { ConsumerRegistry } from './consumer/consumer-registry.js';
import { Coordination } from './coordination/coordination.js';
import { memoryCoordinationStore } from './coordination/memory-coordination-store.js';
import { SharedPauses } from './consumer/shared-pauses.js';
import { deadLetterQueues } from './consumer/queue-consumer.js';
import { ReceiverRegistry } from './consumer/receive/receiver-registry.js';
import { Archiving } from './dead-letter/archiving.js';
import { DeadLetters } from './dead-letter/dead-letters.js';
import type { DeadLetterWatch } from './dead-letter/dead-letter-watch.js';
import { watchOf } from './dead-letter/watched-places.js';
import { errorMessage } from './errors/redact.js';
import { type Log, redactedLog } from './events/log.js';
import { MessagingEvents } from './events/messaging-events.js';
import { ConnectionState } from './health/connection-state.js';
import { DeadLetterCounts } from './health/dead-letter-counts.js';
import type { HealthReport } from './health/health-report.js';
import { reportHealth } from './health/report-health.js';
import { IdempotencyStorePool } from './idempotency/idempotency-store-pool.js';
import type { ResolvedOptions } from './messaging.options.js';
import { deadline, Shutdown } from './messaging.shutdown.js';
import { DefinitionResolver } from './messaging.subscriptions.js';
import { telemetryEnvironment } from './messaging.telemetry.js';
import type { Telemetry } from './pipeline/telemetry.js';
import { Dispatcher } from './publisher/dispatcher.js';
import { Emitter } from './publisher/emitter.js';
import { MessageFactory } from './publisher/message-factory.js';
import { PublishBatching } from './publisher/publish-batching.js';
import { Publisher } from './publisher/publisher.js';
import { UniquePublishing } from './publisher/unique-publishing.js';
import { RecurringSchedules } from './recurring/recurring-schedules.js';
import { Requester } from './request/requester.js';
import type { RetryQueueStore } from './publisher/retry-queue-store.js';
import { Transactions } from './transaction/transactions.js';
import type { Transport } from './transport/transport.js';

const EMIT_BUFFER = 1_024;
const COUNT_INTERVAL_MS = 15_000;

/** What one connection consists of. */
export interface MessagingParts {
  readonly log: Log;
  readonly events: MessagingEvents;
  readonly transport: Transport;
  readonly definitions: DefinitionResolver;
  readonly telemetry: Telemetry | undefined;
  readonly state: ConnectionState;
  readonly store: RetryQueueStore;
  readonly dispatcher: Dispatcher;
  readonly publisher: Publisher;
  readonly requester: Requester;
  readonly consumers: ConsumerRegistry;
  readonly receivers: ReceiverRegistry;
  readonly archiving: Archiving | undefined;
  readonly watch: DeadLetterWatch | undefined;
  readonly transactions: Transactions | undefined;
  readonly coordination: Coordination;
  readonly pauses: SharedPauses;
  readonly recurring: RecurringSchedules;
  readonly deadLetters: DeadLetters;
  readonly counts: DeadLetterCounts;
  readonly shutdown: Shutdown;
  health(): HealthReport;
}

/** Builds one connection out of its options; nothing is opened yet. */
export function assemble(connection: string, options: ResolvedOptions, unredacted: Log): MessagingParts {
  const { clock, service, deadLetterStack, serializer, unroutable, retryQueue, batching, shutdownTimeout } = options;
  const log = redactedLog(unredacted);
  const events = new MessagingEvents((error) =>
    log.error(`A listener of messaging.events threw: ${errorMessage(error)}`),
  );
  const transport = options.transport.create();
  const { system, namespace, topic } = options.transport;
  const health = (): HealthReport =>
    reportHealth({
      state,
      transport,
      consumers,
      pauses,
      dispatcher,
      store,
      deadLetterCounts: counts,
      watch,
      transactions,
      coordination,
    });
  const telemetry = options.telemetry?.create(
    telemetryEnvironment({ connection, events, health }, transport, topic, clock),
  );
  const shared = { transport, clock, events, log, telemetry };
  const state = new ConnectionState(clock);
  const time = new SteadyTime(clock);
  const destination = [service, connection, system, namespace, topic].filter((part) => part !== undefined).join(':');
  const store = retryQueue.store.create({
    destination,
    topic,
    clock,
    time,
    log,
    onAdopted: (count) => {
      log.log(`${count} messages of a process that ended are in the publisher retry queue now`);
      dispatcher.retryQueue.adopted();
    },
    onError: (operation, error) => events.emit('store-error', { operation, error }),
  });
  const dispatcher: Dispatcher = new Dispatcher(
    { maxInFlight: options.maxInFlight, ...retryQueue },
    {
      ...shared,
      store,
      time,
      isKept: (dedupeId) => transactions?.isSending(dedupeId) === true,
      resumed: () => requester.resume(),
      bindings: () => ({ topologies: [...consumers].map(({ definition }) => definition.topology), topic }),
    },
  );
  const { maxBytes, maxDelayMs } = transport.capabilities;
  const transactions: Transactions | undefined = Transactions.of(options.transactions, transport.capabilities.durable, {
    ...{ scope: destination, clock, events, log, serializer, most: retryQueue.maxMessages },
    publish: (publication) => {
      const receipt = publication.receipt();
      dispatcher.submitOne(publication);
      return receipt;
    },
  });
  // Elsewhere what is to be agreed on would be decided by each process in silence.
  const ownStore = system === 'memory' ? memoryCoordinationStore() : undefined;
  const coordination = new Coordination(options.coordination ?? ownStore, clock, connection);
  const publisher = new Publisher(
    new MessageFactory({ serializer, clock, unroutable, maxBytes, maxDelayMs, holdDelayed: retryQueue.delayed }),
    dispatcher,
    new Emitter(EMIT_BUFFER, log),
    options.publishMiddleware,
    { maxMessages: Math.min(options.maxInFlight, retryQueue.maxMessages), maxBytes: retryQueue.maxBytes },
    batching && new PublishBatching(batching, clock, (batch) => dispatcher.submit(batch)),
    telemetry,
    transactions?.sender,
    new UniquePublishing({ service, coordination, clock, log, events }),
  );
  const requester: Requester = new Requester({
    ...{ clock, events, serializer, telemetry, system: transport.system, replies: transport.replies },
    obstacle: () => dispatcher.obstacle,
    send: (route, body, publishOptions, conversation) =>
      publisher.request(route, body, publishOptions, options.propagate?.inHand()?.correlationId, conversation),
  });
  const recurring = new RecurringSchedules({ service, coordination, publisher, clock, log, events });
  const idempotencyStores = new IdempotencyStorePool({ clock });
  const consumers = new ConsumerRegistry({
    ...shared,
    service,
    deadLetterStack,
    serializer,
    idempotencyStores,
    coordination,
  });
  const pauses = new SharedPauses({ service, coordination, consumers, clock, log, events });
  const allQueues = (): string[] => [...deadLetterQueues(consumers).values()].flat();
  const archiving = Archiving.of(options.deadLetters, { ...shared, queues: allQueues });
  const counts: DeadLetterCounts = new DeadLetterCounts(transport, clock, COUNT_INTERVAL_MS, allQueues);
  const watch = watchOf(options, { ...shared, publishers: store.deadLetters, queues: allQueues, archiving });
  events.on('dead-lettered', () => {
    counts.changed();
    watch?.soon();
  });
  if (watch) events.on('publish-failed', () => watch.soon());
  const receivers = new ReceiverRegistry({
    consumers,
    log,
    telemetry,
    deadline: () => deadline(clock, shutdownTimeout),
    started: () => {
      counts.start();
      archiving?.start();
      watch?.start();
    },
  });
  const deadLetters = new DeadLetters({
    ...shared,
    publishers: store.deadLetters,
    queues: () => deadLetterQueues(consumers),
    onChange: () => counts.changed(),
    archive: archiving?.letters,
  });
  const ending = {
    consumers,
    receivers,
    archiving,
    watch,
    transactions,
    counts,
    publisher,
    requester,
    dispatcher,
    store,
    state,
    idempotencyStores,
    coordination,
    pauses,
    recurring,
  };
  const shutdown = new Shutdown({ ...shared, ...ending, timeout: shutdownTimeout });
  const definitions = new DefinitionResolver(options, transport);
  return { ...shared, ...ending, telemetry, definitions, deadLetters, shutdown, health };
}
