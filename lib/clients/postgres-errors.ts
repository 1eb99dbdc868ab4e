import { BrokerConfigurationError, MissingPeerError } from '../errors/configuration-errors.js';
import type { MessagingError } from '../errors/messaging-error.js';
import type { PostgresAddress } from './postgres-address.js';

/** What the server or the client says; the caller redacts. */
export interface PostgresError extends Error {
  /** SQLSTATE, or of a socket. */
  readonly code?: string;
  readonly severity?: string;
}

/** The text of an error of the client. */
export function describe(error: unknown): string {
  const { message, code, errors } = error as PostgresError & { errors?: unknown[] };
  return message || (errors?.[0] instanceof Error && errors[0].message) || code || String(error);
}

/** The server has answered, and the connection goes on. */
export function isAnswer({ code, severity }: PostgresError): boolean {
  return severity !== undefined && severity !== 'FATAL' && severity !== 'PANIC' && !/^(08|57P0)/.test(code ?? '');
}

/** An error of connecting, when waiting cannot cure it. */
export function connectionMisconfiguration(error: unknown, address: PostgresAddress): MessagingError | undefined {
  if (error instanceof MissingPeerError) return error;
  const { code = '', message } = error as PostgresError;
  const at = `PostgreSQL at ${address.host}`;
  if (/^28/.test(code) || /password must be a string|SASL/.test(message))
    return new BrokerConfigurationError(`${at} refuses the credentials. Check user and password`);
  if (code === '3D000') return new BrokerConfigurationError(`${at}: there is no such database`);
  if (code === '42501')
    return new BrokerConfigurationError(`${at}: the user lacks a privilege: ${address.redact(message)}`);
  if (TLS_ERRORS.test(code) || /does not support SSL/.test(message))
    return new BrokerConfigurationError(`${at}: TLS failed, ${address.redact(code || message)}`);
  return undefined;
}

const TLS_ERRORS = /^(ERR_SSL_|ERR_TLS_|EPROTO$|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/;
