import { brand } from '../../errors/brand.js';
import { InvalidOptionError } from '../../errors/configuration-errors.js';
import type { WireMessage } from '../../message/message.js';
import { BoundedSchedule } from './bounded-schedule.js';
import type { Schedule, ScheduledMessage, ScheduleTools } from './schedule.js';

/** What stands beside `concurrency` in a subscription, to be checked against it. */
export interface ConcurrencySurroundings {
  readonly prefetch: number;
  readonly delayMs: number;
  /** How long the broker waits for a message to be settled, in milliseconds; Infinity where it does not mind. */
  readonly ackTimeoutMs: number;
  /** The queue is split by key into several. */
  readonly isPartitioned: boolean;
  /** The longest wait before the first retry, in milliseconds; undefined: there is none, or a function decides. */
  readonly firstRetryMs?: number;
  /** The `probeAfter` of the kill switch, where there is one. */
  readonly probeAfterMs?: number;
}

/**
 * How many handlers of one subscription run at a time in one process, and in which order: `bounded`, `unbounded`,
 * `partitioned`, or one's own. One object may serve several subscriptions: each gets a schedule of its own.
 */
export interface Concurrency {
  readonly kind: string;
  /**
   * When given, a failed message is retried in place: it stays unsettled and keeps its turn (`Schedule.hold`) for at most
   * so many milliseconds, then it goes to its dead letters. Else a retry is a copy that joins the end of the queue.
   */
  readonly maxHoldMs?: number;
  /**
   * What a message keeps its order by; undefined: by nothing. Needed where the broker splits the queue by it. One that throws
   * here will throw in the schedule as well.
   */
  keyOf?(message: WireMessage, tools: Pick<ScheduleTools, 'decode' | 'keyOf'>): string | undefined;
  /** Refuses, at boot, options that contradict it. @throws InvalidOptionError */
  check?(surroundings: ConcurrencySurroundings): void;
  schedule<M extends ScheduledMessage>(tools: ScheduleTools): Schedule<M>;
}

/**
 * At most `limit` handlers at a time; what was prefetched beyond that waits in the process. With a `timeout`, a handler
 * that ignores its aborted signal counts for at most twice the timeout.
 */
export function bounded(limit: number): Concurrency {
  if (!Number.isInteger(limit) || limit < 1)
    throw new InvalidOptionError('bounded(limit)', limit, 'a whole number, 1 or more');
  return new Bounded('bounded', limit);
}

/** Every prefetched message is handled at once: the prefetch is the limit. The default. */
export function unbounded(): Concurrency {
  return new Bounded('unbounded', Infinity);
}

/** How many handlers run at a time, where that is all that the concurrency decides; else undefined. */
export function handlersAtATime(concurrency: Concurrency): number | undefined {
  return concurrency instanceof Bounded ? concurrency.limit : undefined;
}

class Bounded implements Concurrency {
  constructor(
    readonly kind: 'bounded' | 'unbounded',
    readonly limit: number,
  ) {}

  check({ prefetch }: ConcurrencySurroundings): void {
    if (this.kind === 'bounded' && this.limit > prefetch)
      throw new InvalidOptionError(
        'bounded(limit)',
        this.limit,
        `at most the prefetch, ${prefetch}: no more messages are here at a time. Raise «prefetch» or lower the bound`,
      );
  }

  schedule<M extends ScheduledMessage>(): Schedule<M> {
    return new BoundedSchedule<M>(this.limit);
  }
}

brand({ Bounded });
