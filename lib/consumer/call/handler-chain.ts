import type { Coordination } from '../../coordination/coordination.js';
import { IdempotentHandling } from '../../idempotency/idempotent-handling.js';
import type { IdempotencyStorePool } from '../../idempotency/idempotency-store-pool.js';
import type { MessageContext } from '../../pipeline/message-context.js';
import { compose, type Handler } from '../../pipeline/middleware.js';
import { withTimeout } from '../../pipeline/timeout.js';
import { LimitedHandling } from './limited-handling.js';
import type { SettlementEnvironment } from '../settlement/settlement.js';
import type { SubscriptionDefinition } from '../subscription/subscription-definition.js';

export interface HandlerChainEnvironment extends SettlementEnvironment {
  readonly idempotencyStores: IdempotencyStorePool;
  readonly coordination: Coordination;
}

/** A handler with everything around it, outermost first: idempotency, limit, timeout, middleware. */
export interface HandlerChain {
  readonly handler: Handler;
  readonly idempotency: IdempotentHandling | undefined;
  readonly limit: LimitedHandling | undefined;
}

/** `overdue` is told of calls that run on past the timeout. @throws InvalidOptionError for a limit that nobody could keep */
export function handlerChain(
  { name, group, topology, middleware, timeoutMs, idempotent, limit: limitedTo }: SubscriptionDefinition,
  handler: Handler,
  { clock, events, log, idempotencyStores, coordination }: HandlerChainEnvironment,
  overdue: (running: Promise<unknown>, context: MessageContext) => void,
): HandlerChain {
  const composed = compose(middleware, handler);
  const permits = limitedTo && coordination.store(`«limit» of the subscription «${name}»`);
  const limit = permits && new LimitedHandling(`${group}:${name}`, limitedTo, { store: permits, clock, events, log });
  const runsOn = (running: Promise<unknown>, context: MessageContext): void => {
    limit?.overdue(running, context);
    overdue(running, context);
  };
  const timed = timeoutMs === undefined ? composed : withTimeout(composed, timeoutMs, clock, runsOn);
  const limited = limit ? limit.around(timed) : timed;
  if (!idempotent) return { handler: limited, idempotency: undefined, limit };
  const store = idempotencyStores.of(idempotent.store);
  const queue = topology.partitionOf ?? topology.queue;
  const idempotency = new IdempotentHandling(queue, idempotent, { store, clock, events, log });
  return { handler: idempotency.around(limited), idempotency, limit };
}
