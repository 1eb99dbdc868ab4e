/** What one of the processes that share a partitioned queue is started with. */
export interface PartitionsWorkerSettings {
  readonly urls: readonly string[];
  readonly journal: string;
  readonly seed: number;
}

export const SERVICE = 'partitioned';
/** Of the route that everybody publishes to. */
export const PARTITIONED_QUEUE = 'partitioned:work:queue';
export const DEAD_LETTERS = 'partitioned:work:dlq';
export const PARTITIONS = 6;
export const LANES = 4;
/** Per partition. */
export const PREFETCH = 10;
