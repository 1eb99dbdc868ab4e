import { redactCredentials } from '../errors/redact.js';

/** Where core writes its log lines; Nest's Logger fits. */
export interface Log {
  log(message: string): void;
  warn(message: string): void;
  error(message: string): void;
  debug(message: string): void;
}

/** The log, with the credentials of every URL taken out of every line. */
export function redactedLog(log: Log): Log {
  return {
    log: (message) => log.log(redactCredentials(message)),
    warn: (message) => log.warn(redactCredentials(message)),
    error: (message) => log.error(redactCredentials(message)),
    debug: (message) => log.debug(redactCredentials(message)),
  };
}
