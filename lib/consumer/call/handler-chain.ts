import { IdempotentHandling } from '../../idempotency/idempotent-handling.js';
import type { IdempotencyStorePool } from '../../idempotency/idempotency-store-pool.js';
import type { MessageContext } from '../../pipeline/message-context.js';
import { compose, type Handler } from '../../pipeline/middleware.js';
import { withTimeout } from '../../pipeline/timeout.js';
import type { SettlementEnvironment } from '../settlement/settlement.js';
import type { SubscriptionDefinition } from '../subscription/subscription-definition.js';

export interface HandlerChainEnvironment extends SettlementEnvironment {
  readonly idempotencyStores: IdempotencyStorePool;
}

/** A handler with everything around it, outermost first: idempotency, timeout, middleware. */
export interface HandlerChain {
  readonly handler: Handler;
  readonly idempotency: IdempotentHandling | undefined;
}

/** `overdue` is told of calls that run on past the timeout. */
export function handlerChain(
  { topology, middleware, timeoutMs, idempotent }: SubscriptionDefinition,
  handler: Handler,
  { clock, events, log, idempotencyStores }: HandlerChainEnvironment,
  overdue: (running: Promise<unknown>, context: MessageContext) => void,
): HandlerChain {
  const composed = compose(middleware, handler);
  const limited = timeoutMs === undefined ? composed : withTimeout(composed, timeoutMs, clock, overdue);
  if (!idempotent) return { handler: limited, idempotency: undefined };
  const store = idempotencyStores.of(idempotent.store);
  const queue = topology.partitionOf ?? topology.queue;
  const idempotency = new IdempotentHandling(queue, idempotent, { store, clock, events, log });
  return { handler: idempotency.around(limited), idempotency };
}
