import type { MessageContext } from './message-context.js';
import { resultOf } from './result.js';

/** Handles one message; what it returns or throws becomes an Outcome. */
export type Handler = (context: MessageContext) => unknown;

/**
 * Wraps the handling of every message of a subscription. It sees the decoded `context.payload`, calls `next()` to go on,
 * and may return an Outcome to decide by itself or throw to let the retry policy decide. First listed is outermost.
 */
export type Middleware = (context: MessageContext, next: () => Promise<unknown>) => unknown;

/** One handler out of middleware around a handler; composed once per subscription. */
export function compose(middleware: readonly Middleware[], handler: Handler): Handler {
  return middleware.reduceRight<Handler>(
    (next, wrap) => (context) => wrap(context, async () => resultOf(await next(context))),
    handler,
  );
}
