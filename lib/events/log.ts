import { printable } from '../errors/printable.js';
import { redactCredentials } from '../errors/redact.js';

/** What a line says once more for programs, by name. `stack` may have several lines. */
export type LogFields = Readonly<Record<string, string | number | readonly string[] | undefined>>;

/** Where core writes its log lines; Nest's Logger fits. */
export interface Log {
  log(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
}

/**
 * The log, with the credentials of every URL taken out of every line and field, and nothing in it that steers a terminal or
 * begins another line. A logger that throws loses its line, and no more.
 */
export function redactedLog(log: Log): Log {
  const line =
    (level: keyof Log) =>
    (message: string, fields?: LogFields): void => {
      try {
        if (fields) log[level](safe(message), safeFields(fields));
        else log[level](safe(message));
      } catch {
        // There is nobody else to be told, and what becomes of a message does not depend on its line.
      }
    };
  return { log: line('log'), warn: line('warn'), error: line('error'), debug: line('debug') };
}

function safe(text: string): string {
  return printable(redactCredentials(text));
}

function safeFields(fields: LogFields): LogFields {
  const safely: Record<string, LogFields[string]> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    if (name === 'stack') safely[name] = safeStack(String(value));
    else if (typeof value === 'string') safely[name] = safe(value);
    else safely[name] = Array.isArray(value) ? value.map(safe) : value;
  }
  return safely;
}

/** Only its own lines begin a line, and none of them without an indent: a message cannot write what looks like one of ours. */
function safeStack(stack: string): string {
  return stack
    .split('\n')
    .map((line, at) => (at === 0 ? safe(line) : `    ${safe(line.trim())}`))
    .join('\n');
}
