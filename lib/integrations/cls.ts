import type { HeaderValue } from '../message/headers.js';
import type { BatchContext } from '../pipeline/batch-context.js';
import type { MessageContext } from '../pipeline/message-context.js';
import type { Middleware } from '../pipeline/middleware.js';
import type { PublishMiddleware } from '../publisher/publish-middleware.js';
import { withDefaults } from '../publisher/propagation.js';
import { aroundCalls, checkMethods } from './around-calls.js';

/** What is used of the `ClsService` of nestjs-cls. */
export interface ClsLike {
  runWith<T>(store: never, work: () => T): T;
  get(key: never): unknown;
  isActive(): boolean;
}

const SERVICE = 'the ClsService of nestjs-cls';

/**
 * A new store of nestjs-cls for every call of a handler, and of a batch handler; in a loop of `receive` it is there within
 * `message.run`. `store` says what is in it at first. @throws InvalidOptionError
 */
export function cls(
  service: ClsLike,
  store: (context: MessageContext | BatchContext) => object = () => ({}),
): Middleware {
  checkMethods('cls', service, ['runWith'], SERVICE);
  return aroundCalls((context, next) => service.runWith({ ...store(context) } as never, next));
}

/**
 * What is published gets values of the store as headers: `{ 'x-tenant': 'tenant.id' }`, by header, with the keys of the
 * store. What the publish says itself counts; outside of a store nothing is added. @throws InvalidOptionError
 */
export function clsHeaders(service: ClsLike, headers: Readonly<Record<string, string | symbol>>): PublishMiddleware {
  checkMethods('clsHeaders', service, ['get', 'isActive'], SERVICE);
  return (request, next) => {
    if (!service.isActive()) return next(request);
    const own: Record<string, HeaderValue> = {};
    for (const [name, key] of Object.entries(headers)) own[name] = service.get(key as never) as HeaderValue;
    return next(withDefaults(request, { headers: own }));
  };
}
