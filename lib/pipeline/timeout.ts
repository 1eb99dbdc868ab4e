import type { Clock } from '../clock/clock.js';
import { HandlerTimeoutError } from '../errors/handling-errors.js';
import type { Handler } from './middleware.js';

/** The handler, given up after `ms` milliseconds: its signal is aborted and HandlerTimeoutError is its result. */
export function withTimeout(handler: Handler, ms: number, clock: Clock): Handler {
  return (context) =>
    new Promise((resolve, reject) => {
      const cancel = clock.after(ms, () => {
        const error = new HandlerTimeoutError(`The handler of «${context.queue}» did not finish within ${ms} ms`);
        context.abort(error);
        reject(error);
      });
      const run = async (): Promise<unknown> => handler(context);
      run().then(resolve, reject).finally(cancel);
    });
}
