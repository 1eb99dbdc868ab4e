import { InvalidOptionError } from '../errors/configuration-errors.js';
import { stringHeader } from '../message/headers.js';
import { BatchContext } from '../pipeline/batch-context.js';
import type { MessageContext } from '../pipeline/message-context.js';
import type { Middleware } from '../pipeline/middleware.js';

/** Around the call of a handler, and around that of a batch handler. */
export function aroundCalls(
  around: (context: MessageContext | BatchContext, next: () => Promise<unknown>) => unknown,
): Middleware {
  return Object.assign(
    (context: MessageContext | BatchContext, next: () => Promise<unknown>) => around(context, next),
    {
      batch: around,
    },
  );
}

/** What says in logs and error reports which message it is; never its payload or headers. */
export function describedCall(context: MessageContext | BatchContext): Record<string, string | number> {
  if (context instanceof BatchContext)
    return { queue: context.queue, size: context.size, messageIds: context.entries.map(({ id }) => id).join(' ') };
  const { queue, route, id, attempt, correlationId, headers } = context;
  const trace = /^[\da-f]{2}-([\da-f]{32})-/.exec(stringHeader(headers, 'traceparent') ?? '');
  return {
    ...{ queue, route, messageId: id, attempt },
    ...(correlationId !== undefined && { correlationId }),
    ...(trace && { traceId: trace[1] }),
  };
}

/** @throws InvalidOptionError for what lacks one of these methods */
export function checkMethods(option: string, value: unknown, methods: readonly string[], allowed: string): void {
  const object = value as Record<string, unknown> | null | undefined;
  if (methods.some((name) => typeof object?.[name] !== 'function'))
    throw new InvalidOptionError(option, value, allowed);
}
