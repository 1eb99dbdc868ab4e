import type { BatchContext } from '../../pipeline/batch-context.js';
import type { MessageContext } from '../../pipeline/message-context.js';
import type { Topology } from '../../transport/topology.js';
import type { SubscribeBatchRequest, SubscribeRequest } from './subscription-options.js';

/** A subscription of the application that no decorator of ours asks for. `place`: who handles it, `Orders.onCreated`. */
export type ForeignSubscription = { readonly place: string } & (
  | { readonly request: SubscribeRequest; readonly handler: (context: MessageContext) => unknown }
  | { readonly request: SubscribeBatchRequest; readonly batchHandler: (context: BatchContext) => unknown }
);

/** What an application subscribes to in the words of another package; asked once the application is made. */
export interface ForeignSubscriptions {
  subscriptions(): readonly ForeignSubscription[];
  /** Made to exist as well, with nobody here to consume them. */
  topologies(): readonly Topology[];
}
