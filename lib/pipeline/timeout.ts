import type { Clock } from '../clock/clock.js';
import { HandlerTimeoutError } from '../errors/handling-errors.js';
import { wholeResultOf } from './result.js';
import { isThenable } from './thenable.js';

/** What a call under a timeout is about: a message, or a batch. */
interface TimedContext {
  readonly queue: string;
  abort(reason: unknown): void;
}

/**
 * The handler, given up after `ms` milliseconds: its signal is aborted and HandlerTimeoutError is its result. What runs on
 * is handed to `overdue`.
 */
export function withTimeout<C extends TimedContext>(
  handler: (context: C) => unknown,
  ms: number,
  clock: Clock,
  overdue: (running: Promise<unknown>, context: C) => void,
): (context: C) => unknown {
  const deadlines = new Deadlines<C>(clock, (call) => {
    const error = new HandlerTimeoutError(`The handler of «${call.context.queue}» did not finish within ${ms} ms`);
    call.context.abort(error);
    overdue(call.running, call.context);
    call.reject(error);
  });
  return (context) => {
    const at = clock.monotonic() + ms;
    const result = wholeResultOf(handler(context));
    // What is not a promise is done: nothing can end it early.
    if (!isThenable(result)) return result;
    const running = Promise.resolve(result);
    return new Promise((resolve, reject) => {
      const call = { at, context, running, reject };
      deadlines.add(call);
      running.then(
        (value) => {
          deadlines.delete(call);
          resolve(value);
        },
        (error: Error) => {
          deadlines.delete(call);
          reject(error);
        },
      );
    });
  };
}

interface TimedCall<C> {
  readonly at: number;
  readonly context: C;
  readonly running: Promise<unknown>;
  readonly reject: (error: Error) => void;
}

/** Calls that end equally long after their beginning, so that the first is the next to end: one timer serves them all. */
class Deadlines<C> {
  private readonly calls = new Set<TimedCall<C>>();
  /** Left to run out when nothing is left to end: most calls are short. */
  private armed = false;

  constructor(
    private readonly clock: Clock,
    private readonly expire: (call: TimedCall<C>) => void,
  ) {}

  add(call: TimedCall<C>): void {
    this.calls.add(call);
    if (!this.armed) this.arm(call);
  }

  delete(call: TimedCall<C>): void {
    this.calls.delete(call);
  }

  private arm({ at }: TimedCall<C>): void {
    this.armed = true;
    this.clock.after(Math.max(0, at - this.clock.monotonic()), () => this.sweep(), { background: true });
  }

  private sweep(): void {
    this.armed = false;
    const now = this.clock.monotonic();
    for (const call of this.calls) {
      if (call.at > now) return this.arm(call);
      this.calls.delete(call);
      this.expire(call);
    }
  }
}
