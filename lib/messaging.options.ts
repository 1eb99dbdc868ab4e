import { type Clock, systemClock } from './clock/clock.js';
import { checkCoordinationStore } from './coordination/coordination.js';
import type { CoordinationStoreFactory } from './coordination/coordination-store.js';
import type { SubscriptionOverride } from './consumer/subscription/subscription-options.js';
import type { AlertsOptions } from './dead-letter/dead-letter-alerts.js';
import {
  type DeadLettersOptions,
  resolveAlerts,
  resolveDeadLetters,
  type ResolvedDeadLetters,
} from './dead-letter/dead-letter-options.js';
import { InvalidOptionError } from './errors/configuration-errors.js';
import {
  checkBoolean,
  checkName,
  functions,
  integerBetween,
  knownKeys,
  numberBetween,
  oneOf,
  refuseUndefined,
} from './errors/option-checks.js';
import type { IdempotencyStoreFactory } from './idempotency/idempotency-store.js';
import { checkIdempotencyStore } from './idempotency/idempotent-options.js';
import { memoryIdempotencyStore } from './idempotency/memory-idempotency-store.js';
import { checkSerializer, jsonSerializer, type Serializer } from './message/serializer.js';
import { keepingMessageInHand } from './pipeline/message-in-hand.js';
import type { Middleware } from './pipeline/middleware.js';
import { memoryRetryQueue } from './publisher/memory-retry-queue.js';
import type { BatchingOptions } from './publisher/publish-batching.js';
import type { TelemetryFactory } from './pipeline/telemetry.js';
import { Propagation } from './publisher/propagation.js';
import type { PublishMiddleware } from './publisher/publish-middleware.js';
import type { UnroutablePolicy } from './publisher/publish-options.js';
import type { RetryQueueStoreFactory } from './publisher/retry-queue-store.js';
import { RetryPolicy, type RetryOptions } from './retry/retry-policy.js';
import {
  type ResolvedTransactionsOptions,
  resolveTransactions,
  type TransactionsOptions,
} from './transaction/transaction-options.js';
import type { ReconnectPolicy, TransportFactory } from './transport/transport.js';
import { memory } from './transports/memory/memory.js';
import { TRANSPORT_NAMES } from './transports/names.js';

/** The publisher retry queue: what waits while the broker cannot take it. */
export interface RetryQueueOptions {
  /** Where the retry queue is kept. Default `memoryRetryQueue()`. */
  readonly store?: RetryQueueStoreFactory;
  /** Milliseconds between two passes; a pass also runs as soon as the connection is back. Default 1,000. */
  readonly interval?: number;
  /** The most messages, those under way included. Default 10,000. */
  readonly maxMessages?: number;
  /** The most bytes, those under way included. Default 64 MiB. */
  readonly maxBytes?: number;
  /** When the queue is full: reject the publish with RetryQueueFullError, or let it wait for room. Default `reject`. */
  readonly whenFull?: 'reject' | 'wait';
  /** The longest wait for room in milliseconds. Default 5,000. */
  readonly waitTimeout?: number;
  /** Keep delayed messages here until they are due, even where the broker can delay: then `publisher.cancel` can take them back. Default false. */
  readonly delayed?: boolean;
}

/** Options of `MessagingModule.forRoot`. */
export interface MessagingModuleOptions {
  /** First part of every queue name; without «:». Required; on the embedded broker it may be left out, and is `app` then. */
  readonly service?: string;
  /** The broker. Default `memory()`, the embedded one. */
  readonly transport?: TransportFactory;
  readonly retryQueue?: RetryQueueOptions;
  /** The handler retry of every subscription that has none of its own. Default 8 calls, exponential from 1 s to 10 min. */
  readonly retry?: RetryOptions | false;
  /** Waits between connection attempts in milliseconds. Default `{ initial: 200, max: 30_000, jitter: 0.2 }`. */
  readonly reconnect?: Partial<ReconnectPolicy>;
  /** Milliseconds after which a publish without an answer is given to the retry queue. Default 10,000. */
  readonly confirmTimeout?: number;
  /** Publishes under way at a time; further ones wait in line. Default 2,000. */
  readonly maxInFlight?: number;
  /** Gather what is published one by one, and send it together; `{}` for the defaults. Default: each is sent at once. */
  readonly batching?: BatchingOptions;
  /** What happens to a message that no queue takes. Default `reject`. */
  readonly unroutable?: UnroutablePolicy;
  /** Create what is missing on the broker; false: only check. Default true. */
  readonly provision?: boolean;
  /** False: a publish-only process, no `@Subscribe` is started. Default true. */
  readonly consume?: boolean;
  /** Overrides of subscriptions by name (the route, or `name`); false switches one off. */
  readonly subscriptions?: Readonly<Record<string, SubscriptionOverride>>;
  /** Milliseconds a shutdown may take, draining handlers and flushing publishes together. Default 10,000. */
  readonly shutdownTimeout?: number;
  /** Default: JSON, and bytes as they are. */
  readonly serializer?: Serializer;
  /** Where `idempotent` subscriptions remember what was handled. Default `memoryIdempotencyStore()`: this process only. */
  readonly idempotencyStore?: IdempotencyStoreFactory;
  /**
   * What all processes of the service agree on, for `@Recurring` and others: `sqliteCoordinationStore({ file })` and others.
   * Default: on the embedded broker `memoryCoordinationStore()`, elsewhere none, and what needs it is refused.
   */
  readonly coordination?: CoordinationStoreFactory;
  /** Around every handler, outside the subscription's own; first listed is outermost. */
  readonly middleware?: readonly Middleware[];
  /** Around every publish; first listed is outermost. */
  readonly publishMiddleware?: readonly PublishMiddleware[];
  /**
   * What a message that is published in a handler takes from the message in hand, unless its publish says otherwise:
   * `'correlationId'` (the id of a message without one), and names of headers. Default: nothing.
   */
  readonly propagate?: readonly string[];
  /** Apply the application's global guards, pipes, interceptors and filters to handlers too. Default false. */
  readonly globalEnhancers?: boolean;
  /** What is done with dead letters beyond keeping them in their queues. */
  readonly deadLetters?: DeadLettersOptions;
  /** When somebody is to be told of dead letters. Default: never. */
  readonly alerts?: AlertsOptions;
  /** Records of `publishInTransaction`, and how it is found out after a crash what became of a transaction. Default: none. */
  readonly transactions?: TransactionsOptions;
  /** Write the error's stack into dead letters. Default true. */
  readonly deadLetterStack?: boolean;
  /** Spans and metrics: `openTelemetry()` of `nestjs-messaging/opentelemetry`. Default: none. */
  readonly telemetry?: TelemetryFactory;
  /** Where the time comes from, for tests. */
  readonly clock?: Clock;
}

/** The options with every default filled in. */
export type ResolvedOptions = Required<
  Omit<
    MessagingModuleOptions,
    | 'retryQueue'
    | 'reconnect'
    | 'batching'
    | 'deadLetters'
    | 'alerts'
    | 'telemetry'
    | 'transactions'
    | 'propagate'
    | 'coordination'
  >
> & {
  readonly propagate: Propagation | undefined;
  readonly batching: Required<BatchingOptions> | undefined;
  readonly deadLetters: ResolvedDeadLetters;
  readonly alerts: AlertsOptions | undefined;
  readonly transactions: ResolvedTransactionsOptions | undefined;
  readonly telemetry: TelemetryFactory | undefined;
  readonly coordination: CoordinationStoreFactory | undefined;
  readonly retryQueue: Required<RetryQueueOptions>;
  readonly reconnect: ReconnectPolicy;
};

/** `nats({ … }) or rabbitmq({ … })` */
const OTHERS = TRANSPORT_NAMES.slice(1)
  .map((name) => `${name}({ … })`)
  .join(' or ');
/** On the embedded broker nobody else has queues, so that an application needs no name there. */
const EMBEDDED_SERVICE = 'app';
const LONGEST = 2 ** 31 - 1;
const LARGEST = Number.MAX_SAFE_INTEGER;

/** Checks every option and fills in the defaults. @throws InvalidOptionError */
export function resolveOptions(options: MessagingModuleOptions): ResolvedOptions {
  knownKeys('options', options, OPTION_NAMES);
  const transport = options.transport === undefined ? memory() : options.transport;
  if (typeof transport !== 'object' || transport === null || typeof transport.create !== 'function') {
    throw new InvalidOptionError(
      'transport',
      transport,
      `memory() or the result of another transport function, such as ${OTHERS}`,
    );
  }
  const { provision = true, consume = true, globalEnhancers = false, deadLetterStack = true, retry = {} } = options;
  // Built once to be checked, before any subscription uses it.
  new RetryPolicy(retry);
  const retryQueue = resolveRetryQueue(options.retryQueue ?? {});
  const maxInFlight = integerBetween('maxInFlight', options.maxInFlight ?? 2_000, 1, 65_535);
  const propagate = Propagation.of(options.propagate ?? []);
  return {
    service: serviceOf(options, transport),
    transport,
    retryQueue,
    retry,
    reconnect: resolveReconnect(options.reconnect ?? {}),
    confirmTimeout: numberBetween('confirmTimeout', options.confirmTimeout ?? 10_000, 1, LONGEST),
    maxInFlight,
    batching: options.batching === undefined ? undefined : resolveBatching(options.batching, maxInFlight, retryQueue),
    unroutable: oneOf('unroutable', options.unroutable ?? 'reject', ['reject', 'queue', 'ignore']),
    provision: checkBoolean('provision', provision),
    consume: checkBoolean('consume', consume),
    subscriptions: resolveOverrides(options.subscriptions ?? {}),
    shutdownTimeout: numberBetween('shutdownTimeout', options.shutdownTimeout ?? 10_000, 0, LONGEST),
    serializer: checkSerializer('serializer', options.serializer ?? jsonSerializer),
    idempotencyStore: checkIdempotencyStore('idempotencyStore', options.idempotencyStore ?? memoryIdempotencyStore()),
    coordination: options.coordination && checkCoordinationStore('coordination', options.coordination),
    middleware: [...(propagate ? [keepingMessageInHand] : []), ...functions('middleware', options.middleware ?? [])],
    publishMiddleware: [
      ...(propagate ? [propagate.middleware] : []),
      ...functions('publishMiddleware', options.publishMiddleware ?? []),
    ],
    propagate,
    globalEnhancers: checkBoolean('globalEnhancers', globalEnhancers),
    deadLetters: resolveDeadLetters(options.deadLetters ?? {}, options.alerts),
    alerts: options.alerts === undefined ? undefined : resolveAlerts(options.alerts),
    transactions: options.transactions === undefined ? undefined : resolveTransactions(options.transactions),
    deadLetterStack: checkBoolean('deadLetterStack', deadLetterStack),
    telemetry: resolveTelemetry(options.telemetry),
    clock: options.clock ?? systemClock,
  };
}

function serviceOf(options: MessagingModuleOptions, { system }: TransportFactory): string {
  if (system !== 'memory') return checkName('service', options.service);
  refuseUndefined('', options, { service: `«${EMBEDDED_SERVICE}»` });
  return checkName('service', options.service ?? EMBEDDED_SERVICE);
}

function resolveRetryQueue(options: RetryQueueOptions): Required<RetryQueueOptions> {
  knownKeys('retryQueue', options, [
    'store',
    'interval',
    'maxMessages',
    'maxBytes',
    'whenFull',
    'waitTimeout',
    'delayed',
  ]);
  const store = options.store ?? memoryRetryQueue();
  if (typeof store !== 'object' || typeof store.create !== 'function')
    throw new InvalidOptionError('retryQueue.store', store, 'memoryRetryQueue() or diskRetryQueue({ directory })');
  return {
    store,
    interval: numberBetween('retryQueue.interval', options.interval ?? 1_000, 1, LONGEST),
    maxMessages: integerBetween('retryQueue.maxMessages', options.maxMessages ?? 10_000, 1, LARGEST),
    maxBytes: integerBetween('retryQueue.maxBytes', options.maxBytes ?? 64 * 2 ** 20, 1, LARGEST),
    whenFull: oneOf('retryQueue.whenFull', options.whenFull ?? 'reject', ['reject', 'wait']),
    waitTimeout: numberBetween('retryQueue.waitTimeout', options.waitTimeout ?? 5_000, 0, LONGEST),
    delayed: checkBoolean('retryQueue.delayed', options.delayed ?? false),
  };
}

function resolveBatching(
  options: BatchingOptions,
  maxInFlight: number,
  { maxMessages, maxBytes }: Required<RetryQueueOptions>,
): Required<BatchingOptions> {
  knownKeys('batching', options, ['messages', 'bytes', 'maxAge']);
  const most = Math.min(maxInFlight, maxMessages);
  const { messages = Math.min(100, most), bytes = Math.min(2 ** 20, maxBytes), maxAge = 5 } = options;
  if (integerBetween('batching.messages', messages, 1, LARGEST) > most)
    throw new InvalidOptionError(
      'batching.messages',
      messages,
      `at most ${most}, what may be under way («maxInFlight») and held («retryQueue.maxMessages») at a time: raise those, or lower it`,
    );
  if (integerBetween('batching.bytes', bytes, 1, LARGEST) > maxBytes)
    throw new InvalidOptionError(
      'batching.bytes',
      bytes,
      `at most ${maxBytes}, what may be held at a time: raise «retryQueue.maxBytes», or lower it`,
    );
  return { messages, bytes, maxAge: numberBetween('batching.maxAge', maxAge, 1, 60_000) };
}

function resolveReconnect(options: Partial<ReconnectPolicy>): ReconnectPolicy {
  knownKeys('reconnect', options, ['initial', 'max', 'jitter']);
  const initial = numberBetween('reconnect.initial', options.initial ?? 200, 1, LONGEST);
  return {
    initial,
    max: numberBetween('reconnect.max', options.max ?? Math.max(initial, 30_000), initial, LONGEST),
    jitter: numberBetween('reconnect.jitter', options.jitter ?? 0.2, 0, 1),
  };
}

function resolveOverrides(
  overrides: Readonly<Record<string, SubscriptionOverride>>,
): Readonly<Record<string, SubscriptionOverride>> {
  if (typeof overrides !== 'object' || overrides === null)
    throw new InvalidOptionError('subscriptions', overrides, 'an object of overrides by subscription name');
  for (const [name, value] of Object.entries(overrides)) {
    if (value !== false && (typeof value !== 'object' || value === null))
      throw new InvalidOptionError(`subscriptions['${name}']`, value, 'an object of options, or false');
  }
  return overrides;
}

function resolveTelemetry(telemetry: TelemetryFactory | undefined): TelemetryFactory | undefined {
  if (telemetry !== undefined && typeof telemetry?.create !== 'function')
    throw new InvalidOptionError('telemetry', telemetry, 'openTelemetry() of nestjs-messaging/opentelemetry');
  return telemetry;
}

const OPTION_NAMES: readonly (keyof MessagingModuleOptions)[] = [
  'service',
  'transport',
  'retryQueue',
  'retry',
  'reconnect',
  'confirmTimeout',
  'maxInFlight',
  'batching',
  'unroutable',
  'provision',
  'consume',
  'subscriptions',
  'shutdownTimeout',
  'serializer',
  'idempotencyStore',
  'coordination',
  'middleware',
  'publishMiddleware',
  'propagate',
  'globalEnhancers',
  'deadLetters',
  'alerts',
  'transactions',
  'deadLetterStack',
  'telemetry',
  'clock',
];
