import { type Clock, systemClock } from '../../clock/clock.js';
import { InvalidOptionError } from '../../errors/configuration-errors.js';
import type { MessageContext } from '../message-context.js';
import type { Middleware } from '../middleware.js';

/** Told of every handler call: how many milliseconds it took, and its error, if it threw one. It should be quick and not throw. */
export type TimingObserver = (context: MessageContext, durationMs: number, error: unknown) => void;

/** Measures what is inside of it, middleware included. @throws InvalidOptionError */
export function timing(observe: TimingObserver, clock: Clock = systemClock): Middleware {
  if (typeof observe !== 'function')
    throw new InvalidOptionError('timing', observe, 'a function (context, durationMs, error) => void');
  return async (context, next) => {
    const startedAt = clock.monotonic();
    let failure: unknown;
    try {
      return await next();
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      observe(context, clock.monotonic() - startedAt, failure);
    }
  };
}
