import { isDeepStrictEqual } from 'node:util';
import type { ForeignSubscription, ForeignSubscriptions } from '../../consumer/subscription/foreign-subscription.js';
import type { SubscriptionOptions } from '../../consumer/subscription/subscription-options.js';
import { InvalidOptionError, SubscriptionConflictError } from '../../errors/configuration-errors.js';
import { placed } from '../../errors/error-place.js';
import { MessagingError } from '../../errors/messaging-error.js';
import { checkPattern, checkRoute, knownKeys, oneOf } from '../../errors/option-checks.js';
import type { Serializer } from '../../message/serializer.js';
import type { Topology } from '../../transport/topology.js';
import type { CompatSettings } from './config.js';
import { MessageHandlerErrorBehavior } from './error-behaviors.js';
import { batchOf, type CompatHandler } from './handlers.js';
import { type CompatHandling, keysOf } from './handling.js';
import type { CompatPublishing } from './publishing.js';
import { reportHandler } from './report-handler.js';
import { type CompatQueue, queueOf, topologiesOf } from './topology.js';

const DEFAULT_PREFETCH = 10;

const OPTIONS = [
  ...['type', 'name', 'connection', 'exchange', 'routingKey', 'bindings', 'queue', 'queueOptions', 'errorBehavior'],
  ...['errorHandler', 'assertQueueErrorHandler', 'allowNonJsonMessages', 'createQueueIfNotExists'],
  ...['usePersistentReplyTo', 'deserializer', 'batchOptions'],
];

/** What is decorated with golevelup's decorators, as subscriptions of ours: one for each queue. */
export class CompatSubscriptions implements ForeignSubscriptions {
  private readonly serializer: Serializer;
  private made: readonly ForeignSubscription[] | undefined;

  constructor(
    private readonly settings: CompatSettings,
    private readonly handling: CompatHandling,
    publishing: CompatPublishing,
    private readonly find: () => readonly CompatHandler[],
  ) {
    this.serializer = publishing.serializer();
  }

  /** @throws InvalidOptionError, SubscriptionConflictError, and with `report: 'error'` UnsupportedError */
  subscriptions(): readonly ForeignSubscription[] {
    if (this.made) return this.made;
    const { config, report } = this.settings;
    const found = this.find().filter((one) => one.config.type !== 'rpc' || config.enableDirectReplyTo !== false);
    const byQueue = new Map<unknown, CompatHandler[]>();
    for (const handler of found) {
      const { queue } = handler.config;
      const own = queue === undefined || queue === '' ? handler : queue;
      byQueue.set(own, [...(byQueue.get(own) ?? []), handler]);
    }
    this.made = [...byQueue.values()].map((handlers) => this.subscribe(handlers));
    report.tell();
    return this.made;
  }

  topologies(): readonly Topology[] {
    const consumed = this.subscriptions().flatMap(({ request }) => request.queue ?? []);
    return topologiesOf(this.settings, new Set(this.settings.messaging.consume === false ? [] : consumed));
  }

  /** @throws InvalidOptionError, SubscriptionConflictError, which name the handler */
  subscribe(handlers: readonly CompatHandler[]): ForeignSubscription {
    const [{ place, config }] = handlers;
    try {
      return this.subscriptionOf(handlers, place, config);
    } catch (error) {
      throw error instanceof MessagingError ? placed(error, place) : error;
    }
  }

  private subscriptionOf(
    handlers: readonly CompatHandler[],
    place: string,
    config: CompatHandler['config'],
  ): ForeignSubscription {
    for (const handler of handlers) check(handler);
    const queues = handlers.map((handler) => queueOf(handler.place, handler.config, this.settings));
    checkShared(handlers, queues, this.settings);
    for (const [at, handler] of handlers.entries()) reportHandler(handler, queues[at], this.settings);
    const request = { ...this.requestOf(handlers, queues), route: routesOf(handlers) };
    const places = handlers.map((one) => one.place).join(', ');
    if (!config.batchOptions) return { place: places, request: { ...request, answers: true }, handler: this.handling.one(handlers) }; // prettier-ignore
    const [{ size, timeout }] = [batchOf(config)];
    const prefetch = Math.max(request.prefetch!, size);
    if (prefetch > request.prefetch!)
      this.settings.report.differs(
        place,
        'prefetchCount',
        `raised to ${prefetch}, the size of a batch, which theirs would never fill`,
      );
    return {
      place,
      request: { ...request, size, maxWait: timeout, prefetch },
      batchHandler: this.handling.batch(handlers[0]),
    };
  }

  private requestOf(
    handlers: readonly CompatHandler[],
    queues: readonly CompatQueue[],
  ): SubscriptionOptions & { readonly name: string } {
    const [{ place, config }] = handlers;
    const [{ queue, adopt, native, hasDeadLetterExchange }] = queues;
    const bindings = queues.flatMap((one) => one.native.bindings ?? []);
    const different = bindings.filter((one, at) => bindings.findIndex((two) => isDeepStrictEqual(one, two)) === at);
    return {
      name: (queue ?? place).replaceAll(':', '.'),
      bind: false,
      ...(queue === undefined ? { exclusive: true } : { queue }),
      ...(adopt && { adopt }),
      // What is rejected goes where theirs goes.
      ...(hasDeadLetterExchange && { dlq: false }),
      prefetch: this.prefetchOf(place, config.queueOptions?.channel),
      serializer: this.serializer,
      rabbitmq: { ...native, bindings: different },
    };
  }

  private prefetchOf(place: string, channel: string | undefined): number {
    const { channels = {}, prefetchCount = DEFAULT_PREFETCH } = this.settings.config;
    const named = channel === undefined ? undefined : channels[channel];
    if (channel !== undefined && !named)
      this.settings.report.differs(
        place,
        `queueOptions.channel «${channel}»`,
        'not among «channels»: the default one, as with theirs',
      );
    const chosen = named ?? Object.values(channels).find((one) => one.default);
    return chosen?.prefetchCount || prefetchCount;
  }
}

/** @throws InvalidOptionError */
function check({ place, config }: CompatHandler): void {
  knownKeys(`options of ${place}`, config, OPTIONS);
  oneOf('type', config.type, ['rpc', 'subscribe']);
  if (config.errorBehavior !== undefined)
    oneOf('errorBehavior', config.errorBehavior, Object.values(MessageHandlerErrorBehavior));
  if (config.batchOptions) knownKeys('batchOptions', config.batchOptions, ['size', 'timeout', 'errorHandler']);
  if (config.batchOptions && config.type === 'rpc')
    throw new InvalidOptionError(
      'batchOptions',
      'given',
      'left out of @RabbitRPC, where theirs ignores it: each request has its own answer',
    );
  const { consumerOptions = {} } = config.queueOptions ?? {};
  const remedies: Readonly<Record<string, string>> = {
    noAck: 'left out: a message is acked once it is handled, and one that failed is not lost',
    exclusive: 'left out: for one consumer at a time declare the queue with the argument «x-single-active-consumer»',
    priority: 'left out: consumers share alike; give the preferred process a higher «prefetchCount»',
    arguments: 'left out: a consumer has none. An offset is for streams, which cannot be settled',
    noLocal: 'left out: RabbitMQ does not know it',
  };
  for (const [name, value] of Object.entries(consumerOptions))
    if (name !== 'consumerTag' && value !== undefined && value !== false)
      throw new InvalidOptionError(`queueOptions.consumerOptions.${name}`, value, remedies[name] ?? 'left out');
}

/** @throws SubscriptionConflictError for handlers of one queue that cannot share it */
function checkShared(
  handlers: readonly CompatHandler[],
  queues: readonly CompatQueue[],
  settings: CompatSettings,
): void {
  const [first, ...others] = handlers;
  for (const [at, other] of others.entries()) {
    const both = `${first.place} and ${other.place} share the queue «${queues[0].queue}»`;
    if (first.config.batchOptions ?? other.config.batchOptions)
      throw new SubscriptionConflictError(`${both}, and one of them takes batches: give that a queue of its own`);
    const [one, two] = [queues[0], queues[at + 1]].map(({ native, ...queue }) => ({
      ...queue,
      ...native,
      bindings: 0,
    }));
    if (!isDeepStrictEqual(one, two) || first.config.queueOptions?.channel !== other.config.queueOptions?.channel)
      throw new SubscriptionConflictError(
        `${both}, and differ in «queueOptions» or «createQueueIfNotExists»: give both the same`,
      );
  }
  for (const [at, handler] of handlers.entries())
    for (const other of handlers.slice(at + 1)) {
      const twice = keysOf(handler.config).find((key) => keysOf(other.config).includes(key));
      if (twice !== undefined)
        throw new SubscriptionConflictError(
          `${handler.place} and ${other.place} both handle «${twice}» of the queue «${queues[0].queue}»: with theirs chance decides which. Give one a queue of its own`,
        );
      if (handler.config.type === 'subscribe')
        settings.report.differs(
          other.place,
          `queue «${queues[0].queue}»`,
          `shared with ${handler.place}: each message goes to the handler of its routing key, where with theirs chance decides`,
        );
    }
}

/** For logs and documents: the bindings are made as they are written. Keys that are no routes of ours stand as «#». */
function routesOf(handlers: readonly CompatHandler[]): string[] {
  const routes = handlers.flatMap(({ config }) => keysOf(config)).map((key) => (isRoute(key) ? key : '#'));
  return routes.length === 0 ? ['#'] : [...new Set(routes)];
}

function isRoute(key: string): boolean {
  try {
    return checkPattern('routingKey', checkRoute('routingKey', key)) === key;
  } catch {
    return false;
  }
}
