import { inspect } from 'node:util';
import type { LogFields } from './log.js';

/**
 * A log line with fields, as loggers take it in place of a text: one that prints text prints the line, with the stack below;
 * one that writes JSON, or merges an object into its record as pino and winston do, has every field by its name.
 */
export class LogEntry {
  readonly message: string;

  constructor(message: string, fields: LogFields) {
    this.message = message;
    Object.assign(this, fields);
  }

  toString(): string {
    const { stack } = this as { readonly stack?: string };
    return stack === undefined ? this.message : `${this.message}\n${stack}`;
  }

  [inspect.custom](): string {
    return this.toString();
  }
}
