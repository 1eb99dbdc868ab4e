import type { Topology } from './topology.js';

/** What is used of a broker in the terms of its protocol, as the bindings of AsyncAPI name them. For documents: nothing is asked or sent. */
export interface TransportDescription {
  /** What AsyncAPI calls the protocol: `amqp`, `kafka-secure`, … */
  readonly protocol: string;
  /** The header that the correlation id travels in; left out where it is no header. */
  readonly correlationHeader?: string;
  /** Where a request says to what address it is answered; left out where there are no replies. */
  readonly replyTo?: { readonly in: 'header' | 'property'; readonly name: string };
  /** The channel that a route (or pattern) is published to; without a `topic` it is the transport's own. */
  route?(route: string, at: Pick<Topology, 'topic' | 'native'>): DescribedBindings;
  /** The channel that the queue of a topology is, or its dead-letter queue. */
  queue?(topology: Topology, name: string): DescribedQueue;
  /** The operation that consumes a queue. */
  receive?(topology: Topology): DescribedBindings;
  /** The operation that publishes. */
  send?(): DescribedBindings;
}

/** By the name of the protocol in whose terms they are: `amqp`, `sqs`, … */
export type DescribedBindings = Readonly<Record<string, object>>;

/** A queue; `details`: what bindings have no place for. */
export interface DescribedQueue {
  readonly bindings?: DescribedBindings;
  readonly details?: Readonly<Record<string, unknown>>;
}
