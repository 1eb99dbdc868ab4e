/** What one subscription needs to exist on the broker. */
export interface Topology {
  readonly queue: string;
  /** Exchange (topic) the patterns are bound on; left out: the transport's default. */
  readonly topic?: string;
  /** Routes or patterns (`*` one word, `#` zero or more). Empty: what the queue is bound by is left alone. */
  readonly patterns: readonly string[];
  /** The dead-letter queue and the route that binds it; left out with `dlq: false`. */
  readonly deadLetter?: { readonly queue: string; readonly route: string };
  /** The waits that retries and the `delay` can ask for, each from … to in milliseconds: what they need is made, or checked, with the queue. */
  readonly waits?: readonly Wait[];
  /** The queue is somebody else's: its being there is checked, and it is never declared. What is beside it is ours. */
  readonly adopt?: boolean;
  /** True: create what is missing. False: only check that it is there. */
  readonly provision: boolean;
  /** The queue is split by key into so many, `partitionQueue(queue, 0)` and on: those are handled, routes lead to this one. */
  readonly partitions?: number;
  /** The queue is such a partition of that one: one process at a time consumes it, and knows that it does. */
  readonly partitionOf?: string;
  /** Every process that shares that queue consumes from this one, so that they can be counted. */
  readonly membersOf?: string;
  /**
   * The queue is of this process alone: it is deleted when the transport is closed, and by the broker when nobody has
   * consumed it for so many milliseconds.
   */
  readonly exclusive?: { readonly expiresMs: number };
  /** The broker's own options for this queue, as given under the broker's key of the subscription. */
  readonly native?: Readonly<Record<string, unknown>>;
}

/** From the shortest to the longest, in milliseconds. */
export type Wait = readonly [shortest: number, longest: number];

/** Queues that the broker's own options split by key into several, each with one consumer at a time. */
export interface Partitioning {
  /** The option that splits a queue, as errors name it: `rabbitmq.partitions`. */
  readonly option: string;
  /** How the broker's own options of a subscription split its queue; undefined: not at all. @throws InvalidOptionError */
  splitBy(native: Readonly<Record<string, unknown>>): QueueSplit | undefined;
  /**
   * How many consumers each of these queues has at the moment, over all processes; of a partition 0 or 1. Undefined for a
   * queue that does not exist. Rejects while disconnected.
   */
  consumers(queues: readonly string[]): Promise<readonly (number | undefined)[]>;
}

/** How a queue is split by key. */
export interface QueueSplit {
  readonly count: number;
  /** False: what is in the partitions is handled, but nothing is moved to them. */
  readonly distribute: boolean;
}

/** The queue of one partition. */
export function partitionQueue(queue: string, partition: number): string {
  return `${queue}.${partition}`;
}

/** Where the processes that share a partitioned queue are counted, and ask each other for partitions. */
export function membersQueue(queue: string): string {
  return `${queue}.members`;
}

/** What else a process declares for a queue that is split: its partitions, and where its processes are counted. */
export function partsOf(topology: Topology): Topology[] {
  const { partitions = 0 } = topology;
  if (partitions === 0) return [];
  return [membersTopology(topology), ...Array.from({ length: partitions }, (_, at) => partitionTopology(topology, at))];
}

export function membersTopology({ queue, provision }: Topology): Topology {
  return { queue: membersQueue(queue), patterns: [], provision, membersOf: queue };
}

export function partitionTopology(topology: Topology, partition: number): Topology {
  const { partitions: _, queue, ...rest } = topology;
  return { ...rest, queue: partitionQueue(queue, partition), patterns: [], partitionOf: queue };
}
