import type { BatchContext } from './batch-context.js';
import type { MessageContext } from './message-context.js';
import { resultOf } from './result.js';

/** Handles one message; what it returns or throws becomes an Outcome. */
export type Handler = (context: MessageContext) => unknown;

/**
 * Wraps the handling of every message of a subscription. It sees the decoded `context.payload`, calls `next()` to go on,
 * and may return an Outcome to decide by itself or throw to let the retry policy decide. First listed is outermost.
 */
export interface Middleware {
  (context: MessageContext, next: () => Promise<unknown>): unknown;
  /** Of a batch subscription: wraps the one call with the batch, instead of what becomes of each message. Default: none. */
  readonly batch?: BatchMiddleware;
}

/** Wraps a call with a batch. */
export type BatchMiddleware = (context: BatchContext, next: () => Promise<unknown>) => unknown;

/** One handler out of middleware around a handler; composed once per subscription. */
export function compose<Context = MessageContext>(
  middleware: readonly ((context: Context, next: () => Promise<unknown>) => unknown)[],
  handler: (context: Context) => unknown,
): (context: Context) => unknown {
  return middleware.reduceRight<(context: Context) => unknown>(
    (next, wrap) => (context) => wrap(context, async () => resultOf(await next(context))),
    handler,
  );
}
