import type { Clock } from '../clock/clock.js';
import { HandlerTimeoutError } from '../errors/handling-errors.js';
import type { MessageContext } from './message-context.js';
import type { Handler } from './middleware.js';
import { isThenable } from './thenable.js';

/**
 * The handler, given up after `ms` milliseconds: its signal is aborted and HandlerTimeoutError is its result. What runs on
 * is handed to `overdue`.
 */
export function withTimeout(
  handler: Handler,
  ms: number,
  clock: Clock,
  overdue: (running: Promise<unknown>, context: MessageContext) => void,
): Handler {
  const deadlines = new Deadlines(clock, (call) => {
    const error = new HandlerTimeoutError(`The handler of «${call.context.queue}» did not finish within ${ms} ms`);
    call.context.abort(error);
    overdue(call.running, call.context);
    call.reject(error);
  });
  return (context) => {
    const at = clock.monotonic() + ms;
    const result = handler(context);
    // What is not a promise is done: nothing can end it early.
    if (!isThenable(result)) return result;
    const running = Promise.resolve(result);
    return new Promise((resolve, reject) => {
      const call = { at, context, running, reject };
      deadlines.add(call);
      running.then(resolve, reject).finally(() => deadlines.delete(call));
    });
  };
}

interface Call {
  readonly at: number;
  readonly context: MessageContext;
  readonly running: Promise<unknown>;
  readonly reject: (error: Error) => void;
}

/** Calls that end equally long after their beginning, so that the first is the next to end: one timer serves them all. */
class Deadlines {
  private readonly calls = new Set<Call>();
  /** Left to run out when nothing is left to end: most calls are short. */
  private armed = false;

  constructor(
    private readonly clock: Clock,
    private readonly expire: (call: Call) => void,
  ) {}

  add(call: Call): void {
    this.calls.add(call);
    if (!this.armed) this.arm(call);
  }

  delete(call: Call): void {
    this.calls.delete(call);
  }

  private arm({ at }: Call): void {
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
