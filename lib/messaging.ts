import { type QueueConsumer, type QueueReport } from './consumer/queue-consumer.js';
import type { Receiver } from './consumer/receive/receiver.js';
import { RuntimeSubscription } from './consumer/runtime-subscription.js';
import type { ForeignSubscriptions } from './consumer/subscription/foreign-subscription.js';
import type { HandledSubscription } from './consumer/subscription/handled.js';
import { type ReceiveRequestOf, receiveRequest } from './consumer/subscription/receive-options.js';
import { mergeByQueue } from './consumer/subscription/router.js';
import {
  handledBy,
  subscriptionLine,
  summaryOf,
  type SubscriptionSummary,
  tellSubscriptions,
} from './consumer/subscription/subscription-line.js';
import type { SubscribeBatchRequestOf, SubscribeRequestOf } from './consumer/subscription/subscription-options.js';
import { type DeadLetters } from './dead-letter/dead-letters.js';
import { brand } from './errors/brand.js';
import { InvalidOptionError } from './errors/configuration-errors.js';
import { PublisherClosedError } from './errors/publish-errors.js';
import { type MessagingEvents } from './events/messaging-events.js';
import type { HealthReport } from './health/health-report.js';
import type { MessagingParts } from './messaging.assembly.js';
import { connectionListener } from './messaging.connection.js';
import { tellLimits } from './messaging.limits.js';
import type { ResolvedOptions } from './messaging.options.js';
import { deadline } from './messaging.shutdown.js';
import { type DefinitionResolver, switchedOff } from './messaging.subscriptions.js';
import type { Serializer } from './message/serializer.js';
import type { BatchContext, BatchResult } from './pipeline/batch-context.js';
import type { MessageContext } from './pipeline/message-context.js';
import { type Publisher } from './publisher/publisher.js';
import type { RecurringMethod } from './recurring/recurring-schedules.js';
import { type Requester } from './request/requester.js';
import { type TransactionChecker } from './transaction/transaction-checkers.js';
import { type Transactions } from './transaction/transactions.js';
import type { Topology } from './transport/topology.js';
import type { Transport } from './transport/transport.js';
import { volatility } from './publisher/unsent.js';

/** @internal */
export type MessagingEnvironment = Pick<ResolvedOptions, 'service' | 'provision' | 'clock' | 'shutdownTimeout'> &
  Pick<MessagingParts, 'log'>;

/** @internal */
export type MessagingDescription = Pick<ResolvedOptions, 'service' | 'serializer' | 'unroutable'> &
  Pick<MessagingParts, 'transport'> & { readonly topic: string | undefined; readonly makeTransport: () => Transport };

/**
 * One connection to a broker and everything on it: publisher, subscriptions, dead letters, events, health. Injectable.
 */
export class Messaging {
  /** What happens on this connection, as it happens. */
  readonly events: MessagingEvents;
  readonly publisher: Publisher;
  readonly requester: Requester;
  readonly deadLetters: DeadLetters;
  /** @internal */
  readonly definitions: DefinitionResolver;

  /** Subscriptions asked for before the connection was opened; declared and started with the decorated ones. @internal */
  readonly early: HandledSubscription[] = [];
  /** @internal */
  readonly foreign: ForeignSubscriptions[] = [];
  private declaring = false;
  private opened = false;

  /** @internal */
  constructor(
    /** The connection's name. */
    readonly connection: string,
    private readonly options: ResolvedOptions,
    private readonly parts: MessagingParts,
  ) {
    const { events, publisher, requester, deadLetters, definitions } = parts;
    this.events = events;
    this.publisher = publisher;
    this.requester = requester;
    this.deadLetters = deadLetters;
    this.definitions = definitions;
  }

  /**
   * Connects. Resolves also when the broker is down (connecting goes on). Until `declare` has resolved, what is published
   * waits in the publisher retry queue: the queues it is for may not be there yet.
   * @throws BrokerConfigurationError and what `declare` throws @internal
   */
  async connect(declare?: () => Promise<void>): Promise<void> {
    const { clock, service, reconnect, confirmTimeout, provision } = this.options;
    const { transport, state, dispatcher, events, log } = this.parts;
    const volatile = volatility(this.parts.transport, this.parts.store);
    if (volatile !== undefined) this.parts.log.log(volatile);
    if (!this.options.consume)
      this.parts.log.log('This process only publishes («consume» is false): no subscription is started');
    await this.parts.telemetry?.start();
    await this.parts.store.open();
    await this.parts.archiving?.open();
    await this.parts.transactions?.open();
    this.declaring = declare !== undefined;
    await this.parts.transport.connect({
      clock,
      service,
      random: Math.random,
      reconnect,
      confirmTimeout,
      provision,
      onEvent: connectionListener({
        ...{ transport, state, dispatcher, events, log },
        isClosing: () => this.parts.shutdown.isClosing,
        isDeclaring: () => this.declaring,
      }),
    });
    this.opened = true;
    if (!declare) return;
    await declare();
    await this.parts.coordination.open();
    this.declaring = false;
    if (this.parts.state.connected && !this.parts.state.blocked) this.parts.dispatcher.resume();
  }

  /** @internal */
  addConsumer(handled: HandledSubscription): QueueConsumer {
    return this.parts.consumers.add(handled);
  }

  /** What reads the bodies of a queue that is consumed here. @internal */
  serializerOf(queue: string): Serializer {
    for (const { queue: own, definition } of this.parts.consumers)
      if (own === queue && definition.serializer) return definition.serializer;
    return this.options.serializer;
  }

  /** Makes what the consumers consume from exist. @throws what makes the first impossible one impossible @internal */
  async declareConsumers(consumers: readonly QueueConsumer[], others: readonly Topology[] = []): Promise<void> {
    await this.parts.consumers.declareAll(consumers, others);
  }

  /** Starts all consumers side by side. @throws what makes the first impossible one impossible @internal */
  async startConsumers(consumers: readonly QueueConsumer[]): Promise<void> {
    await this.parts.pauses.start();
    await this.parts.consumers.startAll(consumers);
    tellSubscriptions(consumers, this.parts.log);
    tellLimits(consumers, this.parts.transport, this.parts.archiving !== undefined, this.parts.log);
  }

  /** @internal */
  async startConsumer(consumer: QueueConsumer): Promise<void> {
    await this.parts.consumers.start(consumer);
  }

  /** Starts counting dead letters for health, moving them into their archive, and looking after them. @internal */
  startCounting(): void {
    this.parts.counts.start();
    this.parts.archiving?.start();
    this.parts.watch?.start();
  }

  /** @throws InvalidOptionError, MissingPeerError, SubscriptionConflictError @internal */
  addRecurring(method: RecurringMethod): Promise<void> {
    return this.parts.recurring.add(method);
  }

  /** Starts to ask what became of transactions that a process has left, to publish what recurs, and to look after dead letters. @internal */
  startChecks(): void {
    this.parts.watch?.start();
    this.parts.recurring.start();
    this.parts.transactions?.start();
  }

  /** @throws InvalidOptionError, SubscriptionConflictError @internal */
  addChecker(checker: TransactionChecker): void {
    this.transactions.addChecker(checker);
  }

  /** What other parts that work on this connection need. @internal */
  get environment(): MessagingEnvironment {
    const { service, provision, clock, shutdownTimeout } = this.options;
    return { service, provision, clock, shutdownTimeout, log: this.parts.log };
  }

  /** Whether there is a store that other processes have, too. @internal */
  get coordinated(): boolean {
    return this.parts.coordination.shared;
  }

  /** What documents of this connection are made of. @internal */
  get described(): MessagingDescription {
    const { service, serializer, unroutable, transport: factory } = this.options;
    const makeTransport = (): Transport => factory.create();
    return { service, serializer, unroutable, topic: factory.topic, transport: this.parts.transport, makeTransport };
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
    return this.parts.receivers.receive<T>(definition, signal);
  }

  /**
   * Pauses a subscription of this process, by its name (its route, where it has no `name`): no handler starts until
   * `resume`, running ones finish, and messages wait in the queue; those that have come already wait here, unsettled.
   * The subscription stays paused when the connection is lost and comes back. Pausing again does nothing.
   * @throws InvalidOptionError when there is no such subscription
   */
  pause(name: string): void {
    for (const consumer of this.parts.consumers.named(name)) consumer.pause();
    this.parts.pauses.paused(name, true);
  }

  /** Ends `pause`. @throws InvalidOptionError when there is no such subscription, or it is paused in all processes */
  resume(name: string): void {
    const consumers = this.parts.consumers.named(name);
    this.parts.pauses.paused(name, false);
    for (const consumer of consumers) consumer.resume();
  }

  /**
   * Pauses a subscription in all processes of the service, within 5 seconds, and in those that start later. It ends by
   * itself after a day, unless this is called again; until then health is degraded and says why. Resolves with that time.
   * Rejects with InvalidOptionError without the module's `coordination`, or for a name that no subscription has.
   */
  async pauseEverywhere(name: string): Promise<Date> {
    this.parts.consumers.named(name);
    return this.parts.pauses.pause(name);
  }

  /** Ends `pauseEverywhere`. Rejects as that does. */
  async resumeEverywhere(name: string): Promise<void> {
    this.parts.consumers.named(name);
    await this.parts.pauses.resume(name);
  }

  /** The transactional sends that are not sent yet. @throws InvalidOptionError without a store for their records */
  get transactions(): Transactions {
    if (this.parts.transactions) return this.parts.transactions;
    throw new InvalidOptionError(
      'transactions.store',
      undefined,
      'sqliteTransactionRecords({ file }) or another store',
    );
  }

  /** The state of this connection, from memory: it never asks the broker. */
  health(): HealthReport {
    return this.parts.health();
  }

  /** What the subscriptions are, for a dashboard. @internal */
  subscriptionSummaries(): (SubscriptionSummary & { readonly reports: readonly QueueReport[] })[] {
    return [...this.parts.consumers].map((one) => ({ ...summaryOf(one.definition), reports: one.queues() }));
  }

  /** How many messages are ready in a queue; undefined where the broker does not say. @internal */
  async depth(queue: string): Promise<number | undefined> {
    return this.parts.transport.queues?.depth(queue);
  }

  /** The broker's own client, for what this package does not do. Its type is the transport's. */
  native(): unknown {
    return this.parts.transport.native();
  }

  /** Round trip to the broker; rejects when it does not answer. */
  async probe(): Promise<void> {
    await this.parts.transport.probe();
  }

  /** First phase of the shutdown: no new handler starts, running ones finish, the rest goes back. @internal */
  stopIntake(): Promise<void> {
    return this.parts.shutdown.stopIntake();
  }

  /** Second phase: publishes are flushed, connections close. @internal */
  close(): Promise<void> {
    return this.parts.shutdown.close();
  }

  /** Starts a subscription: at once, or, before the connection is opened, with the decorated ones (undefined). @internal */
  async start(handled: HandledSubscription): Promise<RuntimeSubscription | undefined> {
    if (this.opened) return this.startNow(handled);
    this.early.push(handled);
    return undefined;
  }

  private async startNow(handled: HandledSubscription): Promise<RuntimeSubscription> {
    if (this.parts.shutdown.intakeStopped)
      throw new PublisherClosedError('The application is shutting down: no subscription can be started');
    const consumer = this.addConsumer(mergeByQueue([handled])[0]);
    if (this.parts.pauses.reasonOf(consumer.definition.name) !== undefined) consumer.pause();
    await this.startConsumer(consumer);
    this.parts.log.log(...subscriptionLine(consumer.definition));
    this.startCounting();
    const { pauses } = this.parts;
    return new RuntimeSubscription(consumer, pauses, async () => {
      const { signal, cancel } = deadline(this.options.clock, this.options.shutdownTimeout);
      await this.parts.consumers.remove(consumer, signal);
      pauses.ended(consumer.definition.name);
      cancel();
    });
  }
}

brand({ Messaging });
