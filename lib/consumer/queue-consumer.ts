import type { IdempotencyCounts } from '../idempotency/idempotent-handling.js';
import type { ConsumerState } from './gate.js';
import type { SubscriptionDefinition } from './subscription/subscription-definition.js';

/** What is known of one queue that this process consumes, or stands by for. */
export interface QueueReport {
  readonly queue: string;
  readonly state: ConsumerState;
  /** Messages in this process that are not settled yet. */
  readonly inFlight: number;
  /** Why the queue is not consumed, where that is nobody's wish; else what is wrong with it. */
  readonly reason: string | undefined;
  readonly idempotency: IdempotencyCounts | undefined;
}

/** One subscription at work, on one queue or on its partitions. */
export interface QueueConsumer {
  readonly definition: SubscriptionDefinition;
  readonly queue: string;
  readonly state: ConsumerState;
  /** The queues of which health tells. */
  queues(): readonly QueueReport[];
  /** Makes the queue and what leads to it exist; `start` does so where it was not called. @throws what waiting cannot cure */
  declare(): Promise<void>;
  /** Declares the topology and begins to consume. @throws TopologyMismatchError and what else waiting cannot cure */
  start(): Promise<void>;
  pause(): void;
  resume(): void;
  stop(deadline: AbortSignal): Promise<void>;
  unbind(): Promise<void>;
}

/** The dead-letter queues of subscriptions, by the name of the subscription; several groups may subscribe to one route. */
export function deadLetterQueues(consumers: Iterable<QueueConsumer>): Map<string, string[]> {
  const queues = new Map<string, string[]>();
  for (const { definition } of consumers) {
    const { deadLetter } = definition.topology;
    if (deadLetter) queues.set(definition.name, [...(queues.get(definition.name) ?? []), deadLetter.queue]);
  }
  return queues;
}
