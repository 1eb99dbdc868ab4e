import { Injectable, Logger } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import type { BatchDefinition } from './consumer/subscription/batch-definition.js';
import type { ForeignSubscription } from './consumer/subscription/foreign-subscription.js';
import type { HandledSubscription } from './consumer/subscription/handled.js';
import type { QueueConsumer } from './consumer/queue-consumer.js';
import { mergeByQueue } from './consumer/subscription/router.js';
import { batchSubscriptionsOf } from './consumer/subscription/subscribe-batch.decorator.js';
import { subscriptionsOf } from './consumer/subscription/subscribe.decorator.js';
import { type SubscriptionDefinition, subscriptionName } from './consumer/subscription/subscription-definition.js';
import type { SubscribeBatchRequest, SubscribeRequest } from './consumer/subscription/subscription-options.js';
import { brand } from './errors/brand.js';
import { SubscriptionConflictError } from './errors/configuration-errors.js';
import { placed } from './errors/error-place.js';
import { MessagingError } from './errors/messaging-error.js';
import { checksOf } from './transaction/check-transaction.decorator.js';
import { recurringOf } from './recurring/recurring.decorator.js';
import type { RecurringFire } from './recurring/recurring-options.js';
import type { TransactionInDoubt } from './transaction/transaction-in-doubt.js';
import { Messaging } from './messaging.js';
import { isSingleton, MessagingEnhancers } from './messaging.enhancers.js';
import { DEFAULT_CONNECTION } from './messaging.tokens.js';

type InstanceWrapper = ReturnType<DiscoveryService['getProviders']>[number];
type Definition = SubscriptionDefinition | BatchDefinition;

/** A method of a provider or controller. */
interface ProviderMethod {
  readonly wrapper: InstanceWrapper;
  readonly prototype: object;
  readonly method: string;
}

/** One decorated method of one provider or controller. */
interface SubscribedMethod {
  readonly wrapper: InstanceWrapper;
  readonly prototype: object;
  readonly method: string;
  readonly request: SubscribeRequest | SubscribeBatchRequest;
  /** The method takes batches. */
  readonly batch: boolean;
}

/** A subscription to be declared; `payload`: see FoundSubscription. */
type Found = ForeignSubscription & { readonly payload?: unknown };

/** One subscription of a method, as it would be declared. */
export interface FoundSubscription {
  readonly messaging: Messaging;
  /** `Orders.onCreated`. */
  readonly place: string;
  /** The class that the method says its payload is of, as far as the compiler has written that down. */
  readonly payload: unknown;
  readonly request: SubscribeRequest | SubscribeBatchRequest;
  readonly definition: Definition;
}

/** Finds every `@Subscribe` method of the application, declares what it subscribes to, and starts its subscription. */
@Injectable()
export class MessagingExplorer {
  private readonly logger = new Logger('Messaging');
  private readonly declared = new Map<Messaging, readonly QueueConsumer[]>();

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly enhancers: MessagingEnhancers,
  ) {}

  /** Every connection of the application. */
  connections(): Messaging[] {
    const found = new Set<Messaging>();
    for (const { instance } of this.discovery.getProviders()) if (instance instanceof Messaging) found.add(instance);
    return [...found];
  }

  /** Every class of the application. */
  types(): readonly object[] {
    const found = this.wrappers().flatMap(({ metatype }) => (typeof metatype === 'function' ? [metatype] : []));
    return [...new Set(found)];
  }

  /** What methods subscribe to, on every connection that consumes; nothing is declared. @throws what makes one of them impossible */
  subscriptions(): readonly FoundSubscription[] {
    const found = this.find();
    this.checkConnections(found);
    const consuming = this.connections().filter(({ consumes }) => consumes);
    const all = consuming.flatMap((messaging) =>
      this.ofConnection(found, messaging).flatMap((one) => {
        const { place, request, payload } = one;
        const definition = this.define(one, messaging);
        return definition ? [{ messaging, place, payload, request, definition }] : [];
      }),
    );
    for (const messaging of consuming) mergeByQueue(all.filter((one) => one.messaging === messaging).map(unhandled));
    return all;
  }

  /** The same for one connection, put together by queue. */
  queues(messaging: Messaging): readonly Definition[] {
    const own = this.subscriptions().filter((one) => one.messaging === messaging);
    return mergeByQueue(own.map(unhandled)).map(({ definition }) => definition);
  }

  /** Makes what this connection subscribes to exist, all checked before. @throws what makes one of them impossible */
  async declare(messaging: Messaging): Promise<void> {
    const found = this.find();
    this.checkConnections(found);
    this.addCheckers(messaging);
    await this.addRecurring(messaging);
    const others = messaging.foreign.flatMap((foreign) => foreign.topologies());
    if (!messaging.consumes) return others.length > 0 ? messaging.declareConsumers([], others) : undefined;
    const own = this.ofConnection(found, messaging);
    this.warnOfUnknownOverrides(messaging, own);
    const handled = own.map((one) => this.handledBy(one, messaging)).filter((one) => one !== undefined);
    const consumers = mergeByQueue([...handled, ...messaging.early]).map((one) => messaging.addConsumer(one));
    await messaging.declareConsumers(consumers, others);
    this.declared.set(messaging, consumers);
  }

  /** Starts what was declared. @throws what makes one of them impossible */
  async start(): Promise<void> {
    for (const [messaging, consumers] of this.declared) {
      await messaging.startConsumers(consumers);
      messaging.startCounting();
    }
    for (const messaging of this.connections()) messaging.startChecks();
  }

  /** Closes every connection: the application cannot start. */
  async close(): Promise<void> {
    await Promise.all(this.connections().map((messaging) => messaging.close()));
  }

  private ofConnection(found: readonly SubscribedMethod[], messaging: Messaging): readonly Found[] {
    const own = found.filter(({ request }) => (request.connection ?? DEFAULT_CONNECTION) === messaging.connection);
    return [
      ...own.map((one) => this.decorated(one, messaging)),
      ...messaging.foreign.flatMap((foreign) => foreign.subscriptions()),
    ];
  }

  private decorated(one: SubscribedMethod, { globalEnhancers }: Messaging): Found {
    const { wrapper, method, request, batch } = one;
    const { enhancers } = this;
    const handlerOf = (): ReturnType<MessagingEnhancers['handlerOf']> =>
      enhancers.handlerOf(wrapper, method, globalEnhancers);
    const told = { place: placeOf(one), payload: payloadTypeOf(one) };
    // Handlers are made of what is started only.
    if (!batch) return { ...told, request, get handler() { return handlerOf(); } }; // prettier-ignore
    return { ...told, request: request as SubscribeBatchRequest, get batchHandler() { return handlerOf(); } }; // prettier-ignore
  }

  private find(): SubscribedMethod[] {
    return this.methods().flatMap(({ wrapper, prototype, method }) => [
      ...subscriptionsOf(prototype, method).map((request) => ({ wrapper, prototype, method, request, batch: false })),
      ...batchSubscriptionsOf(prototype, method).map((request) => ({
        wrapper,
        prototype,
        method,
        request,
        batch: true,
      })),
    ]);
  }

  /** Every method of every provider and controller, once. */
  private methods(): ProviderMethod[] {
    const found: ProviderMethod[] = [];
    const seen = new Map<object, Set<string>>();
    for (const wrapper of this.wrappers()) {
      const type = wrapper.metatype;
      const prototype = prototypeOf(wrapper);
      if (!prototype) continue;
      // A provider that several modules share is one instance; one that several modules provide is one each.
      const identity = isSingleton(wrapper) ? (wrapper.instance as object) : (type as object);
      const methods = seen.get(identity) ?? new Set();
      seen.set(identity, methods);
      for (const method of this.scanner.getAllMethodNames(prototype)) {
        if (methods.has(method)) continue;
        methods.add(method);
        found.push({ wrapper, prototype, method });
      }
    }
    return found;
  }

  /** Whom to ask what became of a transaction. */
  private addCheckers(messaging: Messaging): void {
    for (const { wrapper, prototype, method } of this.methods()) {
      for (const { route, connection = DEFAULT_CONNECTION } of checksOf(prototype, method)) {
        const place = placeOf({ wrapper, method });
        this.checkConnection(place, `checks transactions of «${route}»`, connection);
        if (connection !== messaging.connection) continue;
        const instance = onlyInstance<TransactionInDoubt>(wrapper, place, '@CheckTransaction', 'after a crash');
        messaging.addChecker({ route, place, ask: (transaction) => instance[method](transaction) });
      }
    }
  }

  private async addRecurring(messaging: Messaging): Promise<void> {
    for (const { wrapper, prototype, method } of this.methods()) {
      for (const request of recurringOf(prototype, method)) {
        const { name, connection = DEFAULT_CONNECTION } = request;
        const place = placeOf({ wrapper, method });
        this.checkConnection(place, `publishes «${name}»`, connection);
        if (connection !== messaging.connection) continue;
        const instance = onlyInstance<RecurringFire>(wrapper, place, '@Recurring', 'at its times');
        try {
          await messaging.addRecurring({ request, place, make: (fire) => instance[method](fire) });
        } catch (error) {
          throw error instanceof MessagingError ? placed(error, place) : error;
        }
      }
    }
  }

  /** Classes first: only those have their guards and pipes made by Nest. */
  private wrappers(): InstanceWrapper[] {
    const all = [...this.discovery.getProviders(), ...this.discovery.getControllers()];
    return all.sort((a, b) => Number(a.isNotMetatype) - Number(b.isNotMetatype));
  }

  private checkConnections(found: readonly SubscribedMethod[]): void {
    distinctNames(this.connections());
    for (const { wrapper, method, request } of found)
      this.checkConnection(
        placeOf({ wrapper, method }),
        `subscribes to «${subscriptionName(request)}»`,
        request.connection ?? DEFAULT_CONNECTION,
      );
  }

  private checkConnection(place: string, what: string, connection: string): void {
    const names = distinctNames(this.connections());
    if (!names.has(connection))
      throw new SubscriptionConflictError(
        `${place} ${what} on the connection «${connection}», which no MessagingModule provides; there are: ${[...names].join(', ')}`,
      );
  }

  private handledBy(found: Found, messaging: Messaging): HandledSubscription | undefined {
    const { request, place } = found;
    const defined = this.define(found, messaging);
    if (defined) {
      const definition = { ...defined, handledBy: place };
      return 'batchHandler' in found
        ? { definition: definition as BatchDefinition, batchHandler: found.batchHandler }
        : { definition, handler: found.handler };
    }
    this.logger.log(`The subscription «${subscriptionName(request)}» is switched off`);
    return undefined;
  }

  private define(found: Found, { definitions }: Messaging): Definition | undefined {
    try {
      return 'batchHandler' in found ? definitions.defineBatch(found.request) : definitions.define(found.request);
    } catch (error) {
      throw error instanceof MessagingError ? placed(error, found.place) : error;
    }
  }

  private warnOfUnknownOverrides(messaging: Messaging, own: readonly Found[]): void {
    const unknown = messaging.definitions.unknownOverrides(
      new Set(own.map(({ request }) => subscriptionName(request))),
    );
    if (unknown.length > 0)
      this.logger.warn(`The options override subscriptions that no @Subscribe has: ${unknown.join(', ')}`);
  }
}

/** `Orders.onCreated`. */
function placeOf({ wrapper, method }: Pick<SubscribedMethod, 'wrapper' | 'method'>): string {
  return `${String(wrapper.metatype?.name || wrapper.name)}.${method}`;
}

/** @throws SubscriptionConflictError where there is one per request */
function onlyInstance<T>(
  wrapper: InstanceWrapper,
  place: string,
  decorator: string,
  when: string,
): Record<string, (given: T) => unknown> {
  if (isSingleton(wrapper)) return wrapper.instance as Record<string, (given: T) => unknown>;
  throw new SubscriptionConflictError(
    `${place} has ${decorator}, and there is one ${String(wrapper.metatype?.name)} per request: ${when} there is no request. Put it into a provider with the default scope`,
  );
}

function payloadTypeOf({ prototype, method }: SubscribedMethod): unknown {
  return (Reflect.getMetadata('design:paramtypes', prototype, method) as unknown[] | undefined)?.[0];
}

/** For what is only looked at. */
function unhandled({ place, definition }: FoundSubscription): HandledSubscription {
  const handle = (): never => {
    throw new Error('Nothing is handled');
  };
  return 'batch' in definition
    ? { definition: { ...definition, handledBy: place }, batchHandler: handle }
    : { definition: { ...definition, handledBy: place }, handler: handle };
}

function prototypeOf(wrapper: InstanceWrapper): object | undefined {
  if (isSingleton(wrapper)) {
    const instance: unknown = wrapper.instance;
    return typeof instance === 'object' && instance !== null
      ? (Object.getPrototypeOf(instance) as object | undefined)
      : undefined;
  }
  return typeof wrapper.metatype === 'function' ? (wrapper.metatype.prototype as object | undefined) : undefined;
}

/** @throws SubscriptionConflictError when two modules provide the same connection */
function distinctNames(connections: readonly Messaging[]): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { connection } of connections) {
    if (names.has(connection))
      throw new SubscriptionConflictError(
        `The connection «${connection}» is provided twice: import MessagingModule.forRoot once, it is global, or give one a \`connection\` name`,
      );
    names.add(connection);
  }
  return names;
}

brand({ MessagingExplorer });
