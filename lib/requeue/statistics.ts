import type { RefusalCode } from './refusal.js';

/** What has happened in one queue since the start of the service. */
export interface QueueCounters {
  /** Taken, on the disk. */
  accepted: number;
  /** Requests sent to subscribers. */
  sent: number;
  /** Acknowledged by a subscriber, and removed. */
  delivered: number;
  /** Nobody subscribes to the subject. */
  noResponders: number;
  /** No reply within the ack timeout. */
  timedOut: number;
  /** Replies with an error. */
  failed: number;
  /** Given up. */
  deadLettered: number;
}

const NOTHING: QueueCounters = {
  accepted: 0,
  sent: 0,
  delivered: 0,
  noResponders: 0,
  timedOut: 0,
  failed: 0,
  deadLettered: 0,
};

/** Queues that are counted one by one; beyond, those that were not used for the longest time are forgotten. */
const MAX_QUEUES = 1_000;

/** Counts that only grow, since the start of the service. */
export class RequeueCounters {
  readonly refused: Partial<Record<RefusalCode, number>> = {};
  /** Replies that came after the message had been given up or sent again. */
  lateReplies = 0;
  private readonly queues = new Map<string, QueueCounters>();

  of(queue: string): QueueCounters {
    let counters = this.queues.get(queue);
    if (counters) return counters;
    if (this.queues.size >= MAX_QUEUES) this.queues.delete(this.queues.keys().next().value!);
    counters = { ...NOTHING };
    this.queues.set(queue, counters);
    return counters;
  }

  /** The same, without beginning to count. */
  peek(queue: string): QueueCounters {
    return this.queues.get(queue) ?? NOTHING;
  }

  get names(): string[] {
    return [...this.queues.keys()];
  }

  refuse(code: RefusalCode): void {
    this.refused[code] = (this.refused[code] ?? 0) + 1;
  }
}
