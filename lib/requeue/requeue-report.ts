import type { DeadLetterWatchReport } from '../dead-letter/dead-letter-watch.js';
import type { OtherFiles } from '../durable-queue/destination.js';
import type { QueueCounters } from './statistics.js';

/** One queue, now and since the start of the service. */
export interface QueueReport extends QueueCounters {
  readonly queue: string;
  /** Messages that wait or are under way. */
  readonly depth: number;
  readonly bytes: number;
  readonly deadLetters: number;
  readonly inFlight: number;
  /** Milliseconds that the oldest of those that are due has waited since it was accepted. */
  readonly oldestAgeMs: number;
}

/** What `stats()` and the stats subject say. */
export interface RequeueStats {
  readonly name: string;
  /** Of this process: several services answer on the same stats subject. */
  readonly instance: string;
  readonly since: string;
  readonly status: RequeueHealth['status'];
  readonly depth: number;
  readonly deadLetters: number;
  readonly inFlight: number;
  /** Messages that were taken over from services that died. */
  readonly adopted: number;
  /** Messages that were not taken, by code. */
  readonly refused: Readonly<Record<string, number>>;
  readonly lateReplies: number;
  /** The deepest first. */
  readonly queues: readonly QueueReport[];
  /** Queues that are left out, because the answer would be too large. */
  readonly moreQueues: number;
}

/** What `health()` says; made of what the process knows, without asking the server, and without credentials. */
export interface RequeueHealth {
  /** `down`: no connection, or closed. `degraded`: the store cannot be written, an alert stands, the server forbids something, or messages of another service lie beside it that none sends. */
  readonly status: 'up' | 'degraded' | 'down';
  readonly connection: {
    readonly state: 'connected' | 'connecting' | 'closed';
    readonly since: string;
    readonly server: string;
    /** What went wrong last, while the service is not connected or something is forbidden. */
    readonly reason?: string;
  };
  readonly store: DeadLetterWatchReport & {
    readonly healthy: boolean;
    readonly depth: number;
    readonly deadLetters: number;
    readonly adopted: number;
    /** Files and messages that could not be read and were put aside. */
    readonly quarantined: number;
    /** Messages in the service's directory that another service has to send. They are left alone. */
    readonly others?: readonly OtherFiles[];
  };
  readonly inFlight: number;
  readonly queues: readonly QueueReport[];
}
