import 'reflect-metadata';
import { InvalidOptionError } from '../../errors/configuration-errors.js';
import { checkMethod } from '../../errors/decorated-method.js';
import type { MessageContract } from '../../message/message-contract.js';
import type { MessageContext } from '../../pipeline/message-context.js';
import {
  contractOf,
  type DecoratedRequest,
  isRoute,
  type Route,
  type SubscribeRequest,
  type SubscriptionOptions,
} from './subscription-options.js';
import { subscriptionName } from './subscription-definition.js';

const SUBSCRIPTIONS = Symbol.for('nestjs-messaging:subscriptions');
export const BATCH_SUBSCRIPTIONS = Symbol.for('nestjs-messaging:batch-subscriptions');

/** Under this key Nest finds what a handler's parameters are. */
export const HANDLER_ARGUMENTS = 'nestjs-messaging:handler-arguments';
/** Nest's number for a body: to a pipe the payload is `type: 'body'`, as in a controller. */
export const PAYLOAD_TYPE = 3;
const CONTEXT_TYPE = 100;

/** Decorates methods that take this payload. */
export type HandlerDecorator<Payload> = <M extends (payload: Payload, context: MessageContext) => unknown>(
  target: object,
  property: string | symbol,
  descriptor: TypedPropertyDescriptor<M>,
) => void;

/** The payload of a route that is no contract: a method says itself what it takes. */
export interface Untyped {
  readonly untyped: never;
}

/** What `@Subscribe` is: with a contract, for methods that take its payload. */
export type SubscribeDecorator<Payload> = [Payload] extends [Untyped] ? MethodDecorator : HandlerDecorator<Payload>;

/**
 * Handles the messages of a route (or pattern) with this method: `(payload, context: MessageContext) => …`. It works on
 * methods of providers and controllers, and several times on one method. Resolving acks the message; throwing hands it
 * to the retry policy and at last to the dead-letter queue.
 * @throws InvalidOptionError, SubscriptionConflictError for a route or name that cannot be
 */
export function Subscribe<Payload = Untyped>(
  route: MessageContract<unknown, Payload> | Route | readonly Route[],
  options: SubscriptionOptions | undefined,
): SubscribeDecorator<Payload>;
export function Subscribe<Payload = Untyped>(
  // With an array type among them the compiler would not say which option is wrong.
  routeOrRequest: string | ArrayLike<Route> | DecoratedRequest<Payload>,
): SubscribeDecorator<Payload>;
export function Subscribe(first: RouteOrRequest<SubscribeRequest>, options?: SubscriptionOptions): MethodDecorator {
  return subscribing(SUBSCRIPTIONS, requestOf(first, options));
}

/** What a decorator may be called with, or options that hold a contract's schema. */
export type RouteOrRequest<Request> = Route | ArrayLike<Route> | Request;

/** What a decorator was called with, as one object. @throws InvalidOptionError, SubscriptionConflictError */
export function requestOf<R extends { readonly route: Route | readonly Route[] }>(
  first: RouteOrRequest<R>,
  options: object | undefined,
): R {
  const request = options === undefined && !isRoute(first) ? contractOf(first) : { ...options, route: first };
  if (options !== undefined && (typeof options !== 'object' || options === null))
    throw new InvalidOptionError('options', options, 'an object of subscription options');
  subscriptionName(request as SubscribeRequest);
  return request as R;
}

/**
 * Notes down under `key` that a method subscribes, and which of its parameters is what.
 * @throws SubscriptionConflictError, with its place, for what is no method of instances, and so would never be called
 */
export function subscribing(key: symbol, request: object): MethodDecorator {
  return (target, property, descriptor?: PropertyDescriptor) => {
    checkMethod('@Subscribe and @SubscribeBatch', 'subscribe', target, property, descriptor);
    const parameters = {
      [`${PAYLOAD_TYPE}:0`]: { index: 0, pipes: [] },
      [`${CONTEXT_TYPE}:1`]: { index: 1, pipes: [] },
    };
    Reflect.defineMetadata(HANDLER_ARGUMENTS, parameters, target.constructor, property);
    // Decorators run bottom up; the list is to read top down. It is kept on the class, so that a decorator above that
    // replaces the method does not hide it.
    Reflect.defineMetadata(key, [request, ...(ownRequests(key, target, property) ?? [])], target, property);
  };
}

/**
 * What was noted down under `key`. Whoever overrides a method with a decorator of its own replaces what its base says, of
 * either kind; who overrides it without one leaves that as it is.
 */
export function requestsOf(key: symbol, prototype: object, method: string | symbol): readonly object[] {
  for (let type: object | null = prototype; type !== null; type = Object.getPrototypeOf(type) as object | null)
    if (ownRequests(SUBSCRIPTIONS, type, method) || ownRequests(BATCH_SUBSCRIPTIONS, type, method))
      return ownRequests(key, type, method) ?? [];
  return [];
}

function ownRequests(key: symbol, prototype: object, method: string | symbol): readonly object[] | undefined {
  return Reflect.getOwnMetadata(key, prototype, method) as readonly object[] | undefined;
}

/** What `@Subscribe` said about a method of a class with this prototype. */
export function subscriptionsOf(prototype: object, method: string | symbol): readonly SubscribeRequest[] {
  return requestsOf(SUBSCRIPTIONS, prototype, method) as readonly SubscribeRequest[];
}
