import 'reflect-metadata';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import type { MessageContract } from '../message/message-contract.js';
import type { MessageContext } from '../pipeline/message-context.js';
import { isRoute } from './route-or-options.js';
import { subscriptionName } from './subscription-definition.js';
import type { Route, SubscribeRequest, SubscriptionOptions } from './subscription-options.js';

const SUBSCRIPTIONS = Symbol.for('nestjs-messaging:subscriptions');

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

/**
 * Handles the messages of a route (or pattern) with this method: `(payload, context: MessageContext) => …`. It works on
 * methods of providers and controllers, and several times on one method. Resolving acks the message; throwing hands it
 * to the retry policy and at last to the dead-letter queue.
 * @throws InvalidOptionError, SubscriptionConflictError for a route or name that cannot be
 */
export function Subscribe<Payload>(
  route: MessageContract<unknown, Payload>,
  options?: SubscriptionOptions,
): HandlerDecorator<Payload>;
export function Subscribe(route: Route | readonly Route[], options?: SubscriptionOptions): MethodDecorator;
export function Subscribe(request: SubscribeRequest): MethodDecorator;
export function Subscribe(
  first: Route | readonly Route[] | SubscribeRequest,
  options?: SubscriptionOptions,
): MethodDecorator {
  return subscribing(SUBSCRIPTIONS, requestOf(first, options));
}

/** What a decorator was called with, as one object. @throws InvalidOptionError, SubscriptionConflictError */
export function requestOf<R extends { readonly route: Route | readonly Route[] }>(
  first: R['route'] | R,
  options: object | undefined,
): R {
  const request = options === undefined && !isRoute(first) ? first : { ...options, route: first };
  if (options !== undefined && (typeof options !== 'object' || options === null))
    throw new InvalidOptionError('options', options, 'an object of subscription options');
  subscriptionName(request as SubscribeRequest);
  return request as R;
}

/** Notes down under `key` that a method subscribes, and which of its parameters is what. */
export function subscribing(key: symbol, request: object): MethodDecorator {
  return (target, property) => {
    const parameters = {
      [`${PAYLOAD_TYPE}:0`]: { index: 0, pipes: [] },
      [`${CONTEXT_TYPE}:1`]: { index: 1, pipes: [] },
    };
    Reflect.defineMetadata(HANDLER_ARGUMENTS, parameters, target.constructor, property);
    // Decorators run bottom up; the list is to read top down. It is kept on the class, so that a decorator above that
    // replaces the method does not hide it.
    Reflect.defineMetadata(key, [request, ...requestsOf(key, target, property)], target, property);
  };
}

/** What was noted down under `key`. */
export function requestsOf(key: symbol, prototype: object, method: string | symbol): readonly object[] {
  return (Reflect.getMetadata(key, prototype, method) as readonly object[] | undefined) ?? [];
}

/** What `@Subscribe` said about a method of a class with this prototype. */
export function subscriptionsOf(prototype: object, method: string | symbol): readonly SubscribeRequest[] {
  return requestsOf(SUBSCRIPTIONS, prototype, method) as readonly SubscribeRequest[];
}
