import { nextTurn } from '../../clock/turn.js';
import { Fifo } from './fifo.js';
import { inOwnContext } from './own-context.js';

/** Work done in portions. */
export interface Job {
  /** Kept by the dispatcher: it waits for its turn. */
  scheduled: boolean;
  /** Does at most `limit` steps and returns how many it did. With work left it schedules itself again. */
  run(limit: number): number;
}

/** Steps of one job before the next has its turn. */
const PORTION = 64;
/** Steps before timers and I/O have theirs, however much there is to do. */
const STEPS_PER_TURN = 512;

/**
 * Calls back what happened on the broker: never from within the call that caused it, in one microtask for everything
 * that happened meanwhile. What feeds itself (a handler that publishes to itself) gives way to the event loop.
 */
export class Dispatcher {
  private readonly jobs = new Fifo<Job>();
  private armed = false;
  private steps = 0;

  schedule(job: Job): void {
    if (job.scheduled) return;
    job.scheduled = true;
    this.jobs.push(job);
    if (!this.armed) this.arm();
  }

  private arm(): void {
    this.armed = true;
    if (this.steps < STEPS_PER_TURN) return queueMicrotask(this.drain);
    nextTurn(() => {
      this.steps = 0;
      this.drain();
    });
  }

  private readonly drain = (): void => inOwnContext(this.work);

  private readonly work = (): void => {
    try {
      while (this.jobs.size > 0 && this.steps < STEPS_PER_TURN) {
        const job = this.jobs.shift()!;
        job.scheduled = false;
        this.steps += job.run(PORTION);
      }
    } finally {
      this.armed = false;
      if (this.jobs.size > 0) this.arm();
    }
  };
}
