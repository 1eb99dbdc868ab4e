/** Which queues are asked for: those of a service, and those of these names. Each with its dead-letter queue. */
export interface QueueScope {
  readonly service?: string;
  readonly queues?: readonly string[];
}

/** One queue, as the broker tells it. */
export interface ListedQueue {
  readonly name: string;
  /** Messages that no consumer holds; undefined where the queue does not answer. */
  readonly ready?: number;
  /** Messages that were delivered and are not settled; undefined where the broker does not tell. */
  readonly inFlight?: number;
  /** `some` where the broker tells that somebody consumes, but not how many; undefined where that is not known. */
  readonly consumers?: number | 'some';
  /** The patterns that lead to the queue, as far as is known. */
  readonly routes: readonly string[];
  readonly deadLetterQueue?: string;
}

/** What an operator sees of an application from outside. */
export interface QueueList {
  readonly queues: readonly ListedQueue[];
  /** Asked for by name, or known to belong to the service, and not there. */
  readonly missing: readonly string[];
  /** Where retries and delayed messages of all applications of this topic wait. */
  readonly waiting: readonly { readonly name: string; readonly ready?: number }[];
}
