import type { Cell } from './cell.js';
import type { ConsumerKind, LoadRequest, WorkerSettings } from './worker/settings.js';

/** One fault of the matrix. */
export interface FaultCase {
  /** For filters and tables. */
  readonly name: string;
  /** What happens, for the table in the documentation. */
  readonly title: string;
  readonly on?: 'node' | 'cluster';
  /** Queue types it is run with. Default quorum. */
  readonly queueTypes?: readonly ('quorum' | 'classic')[];
  /** Other ways of consuming it is run with as well, on quorum queues. Default none. */
  readonly alsoConsumedBy?: readonly Exclude<ConsumerKind, 'plain'>[];
  /** Ways of consuming with which it is part of `npm test`. Default none. */
  readonly short?: readonly ConsumerKind[];
  readonly worker?: Partial<WorkerSettings>;
  /** What is published all the time; false: nothing by itself. Default 300 messages a second, some of which fail. */
  readonly load?: LoadRequest | false;
  /** The most copies of one message. Default: two more per strike. */
  readonly copies?: number;
  /** Milliseconds that nothing may move at its end, beside the usual, before what is missing counts as lost. */
  readonly stillForMs?: number;
  /** What RabbitMQ waits before it offers a copy again that a queue refused when due. Default 2 s; RabbitMQ's own is 180 s. */
  readonly offeredAgainMs?: number;
  /** Lets the fault hit, waits for its trace, heals it. */
  run(cell: Cell): Promise<void>;
}
