import { answersNobody } from './request/answer-options.js';
import { type BatchDefinition, defineBatchSubscription } from './consumer/subscription/batch-definition.js';
import { instanceName } from './consumer/subscription/exclusive-queue.js';
import { checkReceivable } from './consumer/subscription/receive-options.js';
import {
  defineSubscription,
  subscriptionName,
  type SubscriptionDefaults,
  type SubscriptionDefinition,
} from './consumer/subscription/subscription-definition.js';
import type { SubscribeBatchRequest, SubscribeRequest } from './consumer/subscription/subscription-options.js';
import { PublisherClosedError } from './errors/publish-errors.js';
import type { ResolvedOptions } from './messaging.options.js';
import type { Transport } from './transport/transport.js';

/** What is asked for, what the module's options override, and what they leave to their defaults, as definitions. */
export class DefinitionResolver {
  private readonly instance = instanceName();

  constructor(
    private readonly options: ResolvedOptions,
    private readonly transport: Transport,
  ) {}

  /** Undefined when the subscription is switched off. @throws InvalidOptionError, SubscriptionConflictError */
  define(request: SubscribeRequest): SubscriptionDefinition | undefined {
    const options = this.overridden(request);
    return options && defineSubscription(options, this.defaults());
  }

  /** The same for batches. */
  defineBatch(request: SubscribeBatchRequest): BatchDefinition | undefined {
    const options = this.overridden(request);
    return options && defineBatchSubscription(options, this.defaults());
  }

  /** The same for messages that are pulled. */
  defineReceived(request: SubscribeRequest): SubscriptionDefinition | undefined {
    const options = this.overridden(request);
    if (options) checkReceivable(options);
    if (!options) return undefined;
    return { ...defineSubscription(options, this.defaults()), answers: answersNobody('receive(…) answers nobody') };
  }

  /** Names in `subscriptions` that belong to none of these. */
  unknownOverrides(names: ReadonlySet<string>): string[] {
    return Object.keys(this.options.subscriptions).filter((name) => !names.has(name));
  }

  private overridden<R extends SubscribeRequest | SubscribeBatchRequest>(request: R): R | undefined {
    const override = this.options.subscriptions[subscriptionName(request)];
    if (override === false) return undefined;
    // Values that come from a configuration may be undefined: those leave what the decorator says.
    const given = Object.fromEntries(Object.entries(override ?? {}).filter(([, value]) => value !== undefined));
    return { ...request, ...given };
  }

  private defaults(): SubscriptionDefaults {
    const { service, provision, retry, middleware, idempotencyStore } = this.options;
    const { system, capabilities } = this.transport;
    return {
      service,
      instance: this.instance,
      provision,
      retry,
      middleware,
      idempotencyStore,
      system,
      wildcards: capabilities.wildcards,
      adopts: capabilities.adopts,
      ...(capabilities.keyOrder === 'queue' && { partitioning: this.transport.partitioning }),
      maxDelayMs: capabilities.maxDelayMs,
      replies: this.transport.replies !== undefined,
      ...(capabilities.ackTimeoutMs !== undefined && { ackTimeoutMs: capabilities.ackTimeoutMs }),
    };
  }
}

/** @throws PublisherClosedError that names the subscription */
export function switchedOff(request: SubscribeRequest): never {
  throw new PublisherClosedError(
    `The subscription «${subscriptionName(request)}» is switched off by the module's options`,
  );
}
