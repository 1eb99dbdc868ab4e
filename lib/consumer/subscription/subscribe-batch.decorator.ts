import { integerBetween } from '../../errors/option-checks.js';
import type { MessageContract } from '../../message/message-contract.js';
import type { BatchContext, BatchResult } from '../../pipeline/batch-context.js';
import { BATCH_SUBSCRIPTIONS, type RouteOrRequest, requestOf, requestsOf, subscribing } from './subscribe.decorator.js';
import type {
  BatchSubscriptionOptions,
  DecoratedBatchRequest,
  Route,
  SubscribeBatchRequest,
} from './subscription-options.js';

/** Decorates methods that take an array of this payload, and return nothing or outcomes. */
export type BatchHandlerDecorator<Payload> = <
  M extends (payloads: Payload[], context: BatchContext) => BatchResult | Promise<BatchResult>,
>(
  target: object,
  property: string | symbol,
  descriptor: TypedPropertyDescriptor<M>,
) => void;

/**
 * Handles the messages of a route (or pattern) in batches with this method: `(payloads, context: BatchContext) => …`. A
 * batch is handled when it has `size` messages, or `maxWait` milliseconds after its first one came.
 *
 * Returning nothing acks all. Throwing hands each message to the retry policy by itself; what is tried again is handled
 * alone. Returning an array says per message, in their order, what becomes of it: an Outcome, or the Error that it failed
 * with; one without either is retried.
 * @throws InvalidOptionError, SubscriptionConflictError for a size, route or name that cannot be
 */
export function SubscribeBatch<Payload = never>(
  route: MessageContract<unknown, Payload> | Route | readonly Route[],
  options: BatchSubscriptionOptions,
): BatchHandlerDecorator<Payload>;
export function SubscribeBatch<Payload = never>(
  request: DecoratedBatchRequest<Payload>,
): BatchHandlerDecorator<Payload>;
export function SubscribeBatch(
  first: RouteOrRequest<SubscribeBatchRequest>,
  options?: BatchSubscriptionOptions,
): MethodDecorator {
  const request = requestOf<SubscribeBatchRequest>(first, options);
  integerBetween('size', request.size, 1, 65_535);
  return subscribing(BATCH_SUBSCRIPTIONS, request);
}

/** What `@SubscribeBatch` said about a method of a class with this prototype. */
export function batchSubscriptionsOf(prototype: object, method: string | symbol): readonly SubscribeBatchRequest[] {
  return requestsOf(BATCH_SUBSCRIPTIONS, prototype, method) as readonly SubscribeBatchRequest[];
}
