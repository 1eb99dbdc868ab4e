import type { MessageContext } from '../../pipeline/message-context.js';
import type { Batch } from '../batch/batch.js';
import type { Delivery } from '../../transport/delivery.js';

/** One delivery on its way through this process, over one handler call or, where it is retried in place, several. */
export interface Work {
  readonly delivery: Delivery;
  attempt: number;
  context: MessageContext;
  startedAt: number;
  /** A result is no longer wanted: the delivery was lost or given back, or its settlement is under way. */
  closed: boolean;
  /** The delivery has a slot of the schedule, to be given free at its end. */
  readonly admitted: boolean;
  /** Handler calls of the delivery that run on past their timeout and keep its slot. */
  overdue: number;
  /** Since when the message is retried in place, by the monotonic clock. */
  heldSince?: number;
  /** The batch that the delivery is in, waiting or handled. */
  batch?: Batch<Work>;
}
