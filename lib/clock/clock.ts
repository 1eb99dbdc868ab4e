/** Ends a timer. Calling it again, or after the timer fired, does nothing. */
export type CancelTimer = () => void;

/**
 * Where this package gets the time from, so that tests can move it by hand. Nothing else reads a clock or sets a timer.
 */
export interface Clock {
  /** Wall-clock time in milliseconds since the epoch. It may jump. */
  now(): number;
  /** Milliseconds from an arbitrary start, never going back: for durations and deadlines. */
  monotonic(): number;
  /** Calls `callback` once after `delayMs` milliseconds. The process stays alive until then, unless it is `background`. */
  after(delayMs: number, callback: () => void, options?: TimerOptions): CancelTimer;
}

export interface TimerOptions {
  /** Not worth staying alive for: something else does, or nobody would miss it. Default false. */
  readonly background?: boolean;
}

/** The longest delay a Node timer takes; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, callback, { background = false } = {}) {
    let timer: NodeJS.Timeout;
    const arm = (left: number): void => {
      const step = Math.min(left, MAX_TIMER_MS);
      timer = setTimeout(() => (left > step ? arm(left - step) : callback()), step);
      if (background) timer.unref();
    };
    arm(Math.max(0, delayMs));
    return () => clearTimeout(timer);
  },
};
