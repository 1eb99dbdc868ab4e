import type { CancelTimer, Clock, TimerOptions } from './clock.js';

interface Timer {
  readonly dueAt: number;
  readonly order: number;
  readonly callback: () => void;
  readonly background: boolean;
}

/**
 * A clock that stands still until it is told to move. Timers fire in the order of their due times; between two timers
 * pending promises get their turn, so that what one timer causes can set the next.
 */
export class ManualClock implements Clock {
  private readonly timers = new Set<Timer>();
  private elapsed = 0;
  private sequence = 0;

  constructor(private readonly start = Date.UTC(2030, 0, 1)) {}

  now(): number {
    return this.start + this.elapsed;
  }

  monotonic(): number {
    return this.elapsed;
  }

  after(delayMs: number, callback: () => void, { background = false }: TimerOptions = {}): CancelTimer {
    const timer: Timer = { dueAt: this.elapsed + Math.max(0, delayMs), order: this.sequence++, callback, background };
    this.timers.add(timer);
    return () => void this.timers.delete(timer);
  }

  /** How many timers wait, background ones included. */
  get timerCount(): number {
    return this.timers.size;
  }

  /** How many timers wait that would keep a process alive. */
  get pending(): number {
    return [...this.timers].filter(({ background }) => !background).length;
  }

  /** Milliseconds until the next timer, background ones included; undefined when none waits. */
  get nextIn(): number | undefined {
    const next = this.next(Infinity);
    return next && next.dueAt - this.elapsed;
  }

  /** Moves the time on by `ms` milliseconds and fires what falls due on the way. */
  async advance(ms: number): Promise<void> {
    const end = this.elapsed + ms;
    await turns();
    for (let next = this.next(end); next; next = this.next(end)) {
      this.elapsed = next.dueAt;
      this.timers.delete(next);
      next.callback();
      await turns();
    }
    this.elapsed = end;
  }

  /** Moves on to the next timer and fires it; false when none waits. */
  async advanceToNext(): Promise<boolean> {
    await turns();
    const next = this.next(Infinity);
    if (!next) return false;
    await this.advance(next.dueAt - this.elapsed);
    return true;
  }

  private next(until: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.timers) {
      if (timer.dueAt > until) continue;
      if (!first || timer.dueAt < first.dueAt || (timer.dueAt === first.dueAt && timer.order < first.order))
        first = timer;
    }
    return first;
  }
}

/** Lets pending promise callbacks run. */
function turns(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}
