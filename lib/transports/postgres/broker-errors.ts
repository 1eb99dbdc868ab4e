import type { PostgresError } from '../../clients/postgres-errors.js';

/** The server ends the connection over what it was sent. */
export function isOverWhatWasSent({ code, severity }: PostgresError): boolean {
  return severity === 'FATAL' && code === '08P01';
}

/** A table, or the schema, is not there. */
export function isMissing({ code }: PostgresError): boolean {
  return code === '42P01' || code === '3F000';
}

/** The server has no room: its disk is full, or its memory. */
export function isWithoutRoom({ code }: PostgresError): boolean {
  return code === '53100' || code === '53200';
}

/** A value, or its size, is at fault: trying again cannot help. */
export function isOverValue({ code = '' }: PostgresError): boolean {
  return /^(22|54)/.test(code);
}
