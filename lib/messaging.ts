import { SteadyTime } from './clock/steady-time.js';
import { Consumers } from './consumer/consumers.js';
import { deadLetterQueues, type QueueConsumer } from './consumer/queue-consumer.js';
import type { Handled } from './consumer/subscription/handled.js';
import { type ReceiveRequestOf, receiveRequest } from './consumer/subscription/receive-options.js';
import type { Receiver } from './consumer/receive/receiver.js';
import { Receivers } from './consumer/receive/receivers.js';
import { mergeByQueue } from './consumer/subscription/router.js';
import { RuntimeSubscription } from './consumer/runtime-subscription.js';
import { handledBy, subscriptionLine, tellSubscriptions } from './consumer/subscription/subscription-line.js';
import type { SubscribeBatchRequestOf, SubscribeRequestOf } from './consumer/subscription/subscription-options.js';
import { Archiving } from './dead-letter/archiving.js';
import { DeadLetters } from './dead-letter/dead-letters.js';
import { brand } from './errors/brand.js';
import { InvalidOptionError } from './errors/configuration-errors.js';
import { PublisherClosedError } from './errors/publish-errors.js';
import { errorMessage } from './errors/redact.js';
import { type Log, redactedLog } from './events/log.js';
import { MessagingEvents } from './events/messaging-events.js';
import { ConnectionState } from './health/connection-state.js';
import { DeadLetterCounts } from './health/dead-letter-counts.js';
import type { HealthReport } from './health/health-report.js';
import { reportHealth } from './health/report-health.js';
import { IdempotencyStores } from './idempotency/idempotency-stores.js';
import { connectionListener } from './messaging.connection.js';
import { tellLimits } from './messaging.limits.js';
import type { ResolvedOptions } from './messaging.options.js';
import { deadline, Shutdown } from './messaging.shutdown.js';
import { SubscriptionDefinitions, switchedOff } from './messaging.subscriptions.js';
import type { BatchContext, BatchResult } from './pipeline/batch-context.js';
import { telemetryEnvironment } from './messaging.telemetry.js';
import type { MessageContext } from './pipeline/message-context.js';
import type { Telemetry } from './pipeline/telemetry.js';
import { Dispatcher } from './publisher/dispatcher.js';
import { Emitter } from './publisher/emitter.js';
import { MessageFactory } from './publisher/message-factory.js';
import { PublishBatching } from './publisher/publish-batching.js';
import { Publisher } from './publisher/publisher.js';
import type { RetryQueueStore } from './publisher/retry-queue-store.js';
import { volatility } from './publisher/unsent.js';
import type { Transport } from './transport/transport.js';

const EMIT_BUFFER = 1_024;
const COUNT_INTERVAL_MS = 15_000;

/**
 * One connection to a broker and everything on it: publisher, subscriptions, dead letters, events, health. Injectable.
 */
export class Messaging {
  /** What happens on this connection, as it happens. */
  readonly events: MessagingEvents;
  readonly publisher: Publisher;
  readonly deadLetters: DeadLetters;
  /** @internal */
  readonly definitions: SubscriptionDefinitions;

  private readonly log: Log;
  private readonly transport: Transport;
  private readonly store: RetryQueueStore;
  private readonly idempotencyStores: IdempotencyStores;
  private readonly dispatcher: Dispatcher;
  private readonly consumers: Consumers;
  private readonly receivers: Receivers;
  private readonly state: ConnectionState;
  private readonly counts: DeadLetterCounts;
  private readonly telemetry: Telemetry | undefined;
  private readonly archiving: Archiving | undefined;
  private readonly shutdown: Shutdown;
  private declaring = false;

  /** @internal */
  constructor(
    /** The connection's name. */
    readonly connection: string,
    private readonly options: ResolvedOptions,
    log: Log,
  ) {
    const { clock, service, deadLetterStack, serializer, unroutable } = options;
    this.log = redactedLog(log);
    this.events = new MessagingEvents((error) =>
      this.log.error(`A listener of messaging.events threw: ${errorMessage(error)}`),
    );
    this.transport = options.transport.create();
    this.definitions = new SubscriptionDefinitions(options, this.transport);
    this.telemetry = options.telemetry?.create(
      telemetryEnvironment(this, this.transport, options.transport.topic, clock),
    );
    this.idempotencyStores = new IdempotencyStores({ clock });
    this.state = new ConnectionState(clock);
    const time = new SteadyTime(clock);
    const { system, namespace, topic } = options.transport;
    this.store = options.retryQueue.store.create({
      destination: [service, connection, system, namespace, topic].filter((part) => part !== undefined).join(':'),
      topic,
      clock,
      time,
      log: this.log,
      onAdopted: (count) => {
        this.log.log(`${count} messages of a process that ended are in the publisher retry queue now`);
        this.dispatcher.retryQueue.adopted();
      },
      onError: (operation, error) => this.events.emit('store-error', { operation, error }),
    });
    const { transport, events, telemetry } = this;
    const shared = { transport, clock, events, log: this.log, telemetry };
    this.dispatcher = new Dispatcher(
      { maxInFlight: options.maxInFlight, ...options.retryQueue },
      {
        ...shared,
        store: this.store,
        time,
        bindings: () => ({ topologies: [...this.consumers].map(({ definition }) => definition.topology), topic }),
      },
    );
    const { maxBytes, maxDelayMs } = this.transport.capabilities;
    this.publisher = new Publisher(
      new MessageFactory({
        serializer,
        clock,
        unroutable,
        maxBytes,
        maxDelayMs,
        holdDelayed: options.retryQueue.delayed,
      }),
      this.dispatcher,
      new Emitter(EMIT_BUFFER, this.log),
      options.publishMiddleware,
      {
        maxMessages: Math.min(options.maxInFlight, options.retryQueue.maxMessages),
        maxBytes: options.retryQueue.maxBytes,
      },
      options.batching && new PublishBatching(options.batching, clock, (batch) => this.dispatcher.submit(batch)),
      telemetry,
    );
    const { idempotencyStores } = this;
    this.consumers = new Consumers({ ...shared, service, deadLetterStack, serializer, idempotencyStores });
    this.receivers = new Receivers({
      consumers: this.consumers,
      log: this.log,
      telemetry,
      deadline: () => deadline(clock, options.shutdownTimeout),
      started: () => this.startCounting(),
    });
    const allQueues = (): string[] => [...deadLetterQueues(this.consumers).values()].flat();
    this.archiving = Archiving.of(options.deadLetters, { ...shared, queues: allQueues });
    this.deadLetters = new DeadLetters({
      ...shared,
      publishers: this.store.deadLetters,
      queues: () => deadLetterQueues(this.consumers),
      onChange: () => this.counts.changed(),
      archive: this.archiving?.letters,
    });
    this.counts = new DeadLetterCounts(this.transport, clock, COUNT_INTERVAL_MS, allQueues);
    this.events.on('dead-lettered', () => this.counts.changed());
    const { consumers, receivers, archiving, counts, publisher, dispatcher, store, state } = this;
    const parts = { consumers, receivers, archiving, counts, publisher, dispatcher, store, state, idempotencyStores };
    this.shutdown = new Shutdown({ ...shared, ...parts, timeout: options.shutdownTimeout });
  }

  /**
   * Connects. Resolves also when the broker is down (connecting goes on). Until `declare` has resolved, what is published
   * waits in the publisher retry queue: the queues it is for may not be there yet.
   * @throws BrokerConfigurationError and what `declare` throws @internal
   */
  async connect(declare?: () => Promise<void>): Promise<void> {
    const { clock, service, reconnect, confirmTimeout, provision } = this.options;
    const { transport, state, dispatcher, events, log } = this;
    const volatile = volatility(this.transport, this.store);
    if (volatile !== undefined) this.log.log(volatile);
    if (!this.options.consume)
      this.log.log('This process only publishes («consume» is false): no subscription is started');
    await this.telemetry?.start();
    await this.store.open();
    await this.archiving?.open();
    this.declaring = declare !== undefined;
    await this.transport.connect({
      clock,
      service,
      random: Math.random,
      reconnect,
      confirmTimeout,
      provision,
      onEvent: connectionListener({
        ...{ transport, state, dispatcher, events, log },
        isClosing: () => this.shutdown.isClosing,
        isDeclaring: () => this.declaring,
      }),
    });
    if (!declare) return;
    await declare();
    this.declaring = false;
    if (this.state.connected && !this.state.blocked) this.dispatcher.resume();
  }

  /** @internal */
  addConsumer(handled: Handled): QueueConsumer {
    return this.consumers.add(handled);
  }

  /** Makes what they consume from exist. @throws what makes the first of the impossible ones impossible @internal */
  async declareConsumers(consumers: readonly QueueConsumer[]): Promise<void> {
    await this.consumers.declareAll(consumers);
  }

  /** All of them, side by side. @throws what makes the first of the impossible ones impossible @internal */
  async startConsumers(consumers: readonly QueueConsumer[]): Promise<void> {
    await this.consumers.startAll(consumers);
    tellSubscriptions(consumers, this.log);
    tellLimits(consumers, this.transport, this.archiving !== undefined, this.log);
  }

  /** @internal */
  async startConsumer(consumer: QueueConsumer): Promise<void> {
    await this.consumers.start(consumer);
  }

  /** Starts counting dead letters for health, and moving them into their archive. @internal */
  startCounting(): void {
    this.counts.start();
    this.archiving?.start();
  }

  /** Whether `@Subscribe` methods are to be started. @internal */
  get consumes(): boolean {
    return this.options.consume;
  }

  /** @internal */
  get globalEnhancers(): boolean {
    return this.options.globalEnhancers;
  }

  /**
   * Subscribes at run time. The handler is called with the payload and its context, as a decorated one.
   * @throws InvalidOptionError, SubscriptionConflictError, TopologyMismatchError
   */
  async subscribe<T = unknown>(
    request: SubscribeRequestOf<T>,
    handler: (payload: T, context: MessageContext) => unknown,
  ): Promise<RuntimeSubscription> {
    if (typeof handler !== 'function') throw new InvalidOptionError('handler', handler, 'a function');
    const definition = handledBy('messaging.subscribe', this.definitions.define(request) ?? switchedOff(request));
    return this.startNow({ definition, handler: (context) => handler(context.payload as T, context) });
  }

  /**
   * Subscribes to batches at run time. The handler is called with the payloads and their context, as one that is decorated
   * with `@SubscribeBatch`.
   * @throws InvalidOptionError, SubscriptionConflictError, TopologyMismatchError
   */
  async subscribeBatch<T = unknown>(
    request: SubscribeBatchRequestOf<T>,
    handler: (payloads: T[], context: BatchContext) => BatchResult | Promise<BatchResult>,
  ): Promise<RuntimeSubscription> {
    if (typeof handler !== 'function') throw new InvalidOptionError('handler', handler, 'a function');
    const defined = this.definitions.defineBatch(request) ?? switchedOff(request);
    return this.startNow({
      definition: handledBy('messaging.subscribeBatch', defined),
      batchHandler: (context) => handler(context.payload as T[], context),
    });
  }

  /**
   * The messages of a route (or of options, as `subscribe` takes them), to be pulled:
   * `for await (const message of messaging.receive('order.created')) await message.ack();`. It declares the same queue as
   * `@Subscribe` would. Leaving the loop, or its `signal`, gives back what was not read; at shutdown it ends by itself.
   * What makes the subscription impossible on the broker is thrown by the loop.
   * @throws InvalidOptionError, SubscriptionConflictError when the queue has a subscription in this process already
   */
  receive<T = unknown>(what: string | ReceiveRequestOf<T>): Receiver<T> {
    const { request, signal } = receiveRequest(what);
    const definition = handledBy('messaging.receive', this.definitions.defineReceived(request) ?? switchedOff(request));
    return this.receivers.receive<T>(definition, signal);
  }

  /**
   * Pauses a subscription of this process, by its name (its route, where it has no `name`): no handler starts until
   * `resume`, running ones finish, and messages wait in the queue; those that have come already wait here, unsettled.
   * It stays paused when the connection is lost and comes back. Pausing again does nothing.
   * @throws InvalidOptionError when there is no such subscription
   */
  pause(name: string): void {
    for (const consumer of this.consumers.named(name)) consumer.pause();
  }

  /** Ends `pause`. @throws InvalidOptionError when there is no such subscription */
  resume(name: string): void {
    for (const consumer of this.consumers.named(name)) consumer.resume();
  }

  /** The state of this connection, from memory: it never asks the broker. */
  health(): HealthReport {
    return reportHealth({
      state: this.state,
      transport: this.transport,
      consumers: this.consumers,
      dispatcher: this.dispatcher,
      store: this.store,
      deadLetterCounts: this.counts,
    });
  }

  /** The broker's own client, for what this package does not do. Its type is the transport's. */
  native(): unknown {
    return this.transport.native();
  }

  /** Round trip to the broker; rejects when it does not answer. */
  async probe(): Promise<void> {
    await this.transport.probe();
  }

  /** First phase of the shutdown: no new handler starts, running ones finish, the rest goes back. @internal */
  stopIntake(): Promise<void> {
    return this.shutdown.stopIntake();
  }

  /** Second phase: publishes are flushed, connections close. @internal */
  close(): Promise<void> {
    return this.shutdown.close();
  }

  private async startNow(handled: Handled): Promise<RuntimeSubscription> {
    if (this.shutdown.intakeStopped)
      throw new PublisherClosedError('The application is shutting down: no subscription can be started');
    const consumer = this.addConsumer(mergeByQueue([handled])[0]);
    await this.startConsumer(consumer);
    this.log.log(...subscriptionLine(consumer.definition));
    this.startCounting();
    return new RuntimeSubscription(consumer, async () => {
      const { signal, cancel } = deadline(this.options.clock, this.options.shutdownTimeout);
      await this.consumers.remove(consumer, signal);
      cancel();
    });
  }
}

brand({ Messaging });
