import type { ArgumentsHost } from '@nestjs/common';
import { BaseRpcExceptionFilter } from '@nestjs/microservices';
import { MessagingRpcContext } from './rpc-context.js';

const WATCHED = Symbol.for('nestjs-messaging:watched-failures');

type Filter = Pick<BaseRpcExceptionFilter, 'catch'> & { [WATCHED]?: true };

/**
 * Nest's last filter hands on what a client may know of an error («Internal server error»). Retries and dead letters go by
 * the error itself, so that the filter leaves it with the context of a handler of ours; what it answers stays as it is.
 */
export function watchFailures(): void {
  const filter = BaseRpcExceptionFilter.prototype as Filter;
  if (filter[WATCHED]) return;
  const original = Reflect.get<Filter, 'catch'>(filter, 'catch');
  filter[WATCHED] = true;
  filter.catch = function (this: Filter, exception: never, host?: Partial<ArgumentsHost>) {
    // Some call the filter by themselves, without a host.
    const context: unknown = host?.getArgByIndex?.(1);
    if (context instanceof MessagingRpcContext) context.failure ??= exception;
    return original.call(this, exception, host as ArgumentsHost);
  };
}
