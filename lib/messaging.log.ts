import { ConsoleLogger, Logger } from '@nestjs/common';
import type { Log, LogFields } from './events/log.js';
import { LogEntry } from './events/log-entry.js';

/**
 * Nest's logger as core's log. A line with fields is a `LogEntry`; for Nest's own JSON it is a text with parameters, where
 * this Nest has those (12), so that `message` is a text in each of its records.
 */
export function nestLog(context: string): Log {
  const logger = new Logger(context);
  const line =
    (level: keyof Log) =>
    (message: string, fields?: LogFields): void => {
      if (!fields) logger[level](message);
      else if (takesParameters(logger)) logger[level](message, { ...fields });
      else logger[level](new LogEntry(message, fields));
    };
  return { log: line('log'), warn: line('warn'), error: line('error'), debug: line('debug') };
}

/** Members of Nest's classes that are not in their public types. Where a Nest has others, fields go with the entry. */
interface LoggerInternals {
  readonly localInstance?: unknown;
  readonly options?: { readonly json?: boolean; readonly structuredParams?: boolean };
}

function takesParameters(logger: Logger): boolean {
  const { localInstance } = logger as unknown as LoggerInternals;
  if (!(localInstance instanceof ConsoleLogger) || !('stringifyParams' in localInstance)) return false;
  const { options } = localInstance as unknown as LoggerInternals;
  return options?.json === true && options.structuredParams !== false;
}
