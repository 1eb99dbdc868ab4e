import type { Topology } from './topology.js';

/** What is used of a broker in the terms of its protocol, as the bindings of AsyncAPI name them. For documents: nothing is asked or sent. */
export interface TransportDescription {
  /** What AsyncAPI calls the protocol: `amqp`, `kafka-secure`, … */
  readonly protocol: string;
  /** The key that its bindings stand under. */
  readonly binding: string;
  /** The header that the correlation id travels in; left out where it is no header. */
  readonly correlationHeader?: string;
  /** The channel that a route (or pattern) is published to; without a `topic` it is the transport's own. */
  route?(route: string, at: Pick<Topology, 'topic' | 'native'>): object;
  /** The channel that the queue of a topology is, or its dead-letter queue. */
  queue?(topology: Topology, name: string): DescribedQueue;
  /** The operation that consumes a queue. */
  receive?(topology: Topology): object;
  /** The operation that publishes. */
  send?(): object;
}

/** A queue; `details`: what bindings have no place for. */
export interface DescribedQueue {
  readonly channel?: object;
  readonly details?: Readonly<Record<string, unknown>>;
}
