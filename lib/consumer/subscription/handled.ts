import type { BatchHandler } from '../../pipeline/batch-context.js';
import type { Handler } from '../../pipeline/middleware.js';
import type { BatchDefinition } from './batch-definition.js';
import type { SubscriptionDefinition } from './subscription-definition.js';

/** A subscription whose messages are handled one by one. */
export interface HandledSingly {
  readonly definition: SubscriptionDefinition;
  readonly handler: Handler;
}

/** A subscription whose messages are handled in batches. */
export interface HandledInBatches {
  readonly definition: BatchDefinition;
  readonly batchHandler: BatchHandler;
}

/** A subscription and what handles its messages. */
export type HandledSubscription = HandledSingly | HandledInBatches;
