import type { BatchContext } from '../pipeline/batch-context.js';
import type { MessageContext } from '../pipeline/message-context.js';
import type { Middleware } from '../pipeline/middleware.js';
import { aroundCalls, checkMethods, describedCall } from './around-calls.js';

/** What is used of the `PinoLogger` of nestjs-pino 5. */
export interface PinoLoggerLike {
  runInContext<T>(work: () => T, options: { bindings: Record<string, unknown> }): T;
}

/**
 * What a handler logs by nestjs-pino has `message`: queue, route, messageId, attempt, correlationId, traceId; `assign`
 * works as in a request. `more` are fields beside it. @throws InvalidOptionError
 */
export function nestPino(
  logger: PinoLoggerLike,
  more: (context: MessageContext | BatchContext) => Record<string, unknown> = () => ({}),
): Middleware {
  checkMethods('nestPino', logger, ['runInContext'], 'the PinoLogger of nestjs-pino 5 or later');
  return aroundCalls((context, next) =>
    logger.runInContext(next, { bindings: { message: describedCall(context), ...more(context) } }),
  );
}
