import { Logger } from '@nestjs/common';
import { type Clock, systemClock } from '../../clock/clock.js';
import { InvalidOptionError } from '../../errors/configuration-errors.js';
import { knownKeys, oneOf } from '../../errors/option-checks.js';
import { errorMessage } from '../../errors/redact.js';
import { type Log, redactedLog } from '../../events/log.js';
import type { Middleware } from '../middleware.js';
import { Outcome } from '../outcome.js';
import { timing } from './timing.js';

export interface LoggingOptions {
  /** The level of a call that succeeded; a failed one is a warning. Default `debug`. */
  readonly level?: 'debug' | 'log';
  /** Default: Nest's logger, as `Messaging`. */
  readonly logger?: Log;
  /** Where the time comes from, for tests. */
  readonly clock?: Clock;
}

/**
 * One line per handler call: queue, route, id, attempt, result, time. Never the payload or headers. Passwords in URLs are
 * taken out. @throws InvalidOptionError
 */
export function logging(options: LoggingOptions = {}): Middleware {
  knownKeys('logging', options, ['level', 'logger', 'clock']);
  const { logger = new Logger('Messaging'), clock = systemClock } = options;
  const level = oneOf('logging.level', options.level ?? 'debug', ['debug', 'log']);
  if (typeof logger?.warn !== 'function' || typeof logger[level] !== 'function')
    throw new InvalidOptionError('logging.logger', logger, 'a logger with log(), warn(), error() and debug()');
  const log = redactedLog(logger);
  return (context, next) => {
    let result = 'handled';
    const timed = timing(({ queue, route, id, attempt }, durationMs, error) => {
      const what = error === undefined ? result : `failed: ${errorMessage(error)}`;
      const line = `«${queue}»: ${route} ${id || '(no id)'}, call ${attempt}, ${what}, ${Math.round(durationMs)} ms`;
      if (error === undefined) log[level](line);
      else log.warn(line);
    }, clock);
    return timed(context, async () => {
      const returned = await next();
      if (Outcome.is(returned)) result = returned.type;
      return returned;
    });
  };
}
