import { printable } from '../errors/printable.js';
import { redactCredentials } from '../errors/redact.js';

/** Where core writes its log lines; Nest's Logger fits. */
export interface Log {
  log(message: string): void;
  warn(message: string): void;
  error(message: string): void;
  debug(message: string): void;
}

/**
 * The log, with the credentials of every URL taken out of every line, and nothing in it that steers a terminal or begins
 * another line. A logger that throws loses its line, and no more.
 */
export function redactedLog(log: Log): Log {
  const line =
    (level: keyof Log) =>
    (message: string): void => {
      try {
        log[level](printable(redactCredentials(message)));
      } catch {
        // There is nobody else to be told, and what becomes of a message does not depend on its line.
      }
    };
  return { log: line('log'), warn: line('warn'), error: line('error'), debug: line('debug') };
}
