import type { Clock } from '../clock/clock.js';
import { HandlerTimeoutError } from '../errors/handling-errors.js';
import type { Handler } from './middleware.js';

/**
 * The handler, given up after `ms` milliseconds: its signal is aborted and HandlerTimeoutError is its result. What runs on
 * is handed to `overdue`.
 */
export function withTimeout(
  handler: Handler,
  ms: number,
  clock: Clock,
  overdue: (running: Promise<unknown>) => void,
): Handler {
  return (context) =>
    new Promise((resolve, reject) => {
      const cancel = clock.after(ms, () => {
        const error = new HandlerTimeoutError(`The handler of «${context.queue}» did not finish within ${ms} ms`);
        context.abort(error);
        overdue(running);
        reject(error);
      });
      const run = async (): Promise<unknown> => handler(context);
      const running = run();
      running.then(resolve, reject).finally(cancel);
    });
}
