import {
  BrokerConfigurationError,
  MissingPeerError,
  TopologyMismatchError,
} from '../../../errors/configuration-errors.js';
import { MessagingError } from '../../../errors/messaging-error.js';
import { NotConnectedError } from '../../../errors/publish-errors.js';
import type { Address } from './address.js';

/** `err_code`s of the JetStream API that are branched on. */
export const apiCode = {
  consumerNotFound: 10014,
  consumerExists: 10148,
  messageNotFound: 10037,
  notEnabledForAccount: 10039,
  notEnabled: 10076,
  messageTooLarge: 10054,
  headersTooLarge: 10097,
  noPeers: 10005,
  streamNotFound: 10059,
  streamExists: 10058,
  subjectsOverlap: 10065,
} as const;

/** The text of an error of the client. The caller redacts. */
export function describe(error: unknown): string {
  const { message, name, cause } = error as Error;
  const text = message || name || String(error);
  const inner = cause instanceof Error && cause.message && !text.includes(cause.message) ? `: ${cause.message}` : '';
  return `${text.toLowerCase() === 'timeout' ? 'the server does not answer' : text}${inner}`;
}

export function codeOf(error: unknown): number | undefined {
  const { code } = error as { code?: unknown };
  return typeof code === 'number' ? code : undefined;
}

/** Words of a server that ends a connection over something that it was sent on it. */
const OVER_WHAT_WAS_SENT = /maximum (payload|control line)|unknown protocol|parser|headers? not supported/i;

/** Whether the server ends the connection over something that it was sent: this follows before the end. */
export function isOverWhatWasSent({ message }: Error): boolean {
  return OVER_WHAT_WAS_SENT.test(message);
}

/** An error of connecting, when waiting cannot cure it. */
export function connectionMisconfiguration(error: unknown, address: Address): MessagingError | undefined {
  if (error instanceof MissingPeerError) return error;
  const { name, message = '', code } = error as Error & { code?: unknown };
  const at = `NATS at ${address.host}`;
  if (name === 'AuthorizationError' || name === 'UserAuthenticationExpiredError' || /authorization/i.test(message))
    return new BrokerConfigurationError(`${at} refuses the credentials. Check user and password, token or creds file`);
  if (code === 'ENOENT' || code === 'EACCES')
    return new BrokerConfigurationError(`The credentials file of ${at} cannot be read: ${String(code)}`);
  if (typeof code === 'string' && TLS_ERRORS.test(code))
    return new BrokerConfigurationError(`${at}: TLS failed, ${code}`);
  if (name === 'InvalidArgumentError') return new BrokerConfigurationError(`${at}: ${address.redact(message)}`);
  return undefined;
}

const TLS_ERRORS = /^(ERR_SSL_|ERR_TLS_|EPROTO$|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/;

/** Others may leave, and limits are raised: «maximum consumers limit reached», «insufficient storage resources available». */
const LIMIT_REACHED = /maximum .*(limit|number).*reached|insufficient .*resources|resource limits? exceeded/i;

/** An error of the JetStream API as ours: a misconfiguration, or a passing reason. `what` is what was asked for. */
export function apiError(error: unknown, what: string, redact: (text: string) => string): MessagingError {
  if (error instanceof MessagingError) return error;
  const text = redact(describe(error));
  const code = codeOf(error);
  const { name, status } = error as { name?: string; status?: number };
  if (name === 'JetStreamNotEnabled' || code === apiCode.notEnabled || code === apiCode.notEnabledForAccount) {
    return new BrokerConfigurationError(
      'JetStream is not enabled on the server or for this account. Start the server with «-js», or enable it in its configuration',
    );
  }
  if (name === 'PermissionViolationError')
    return new BrokerConfigurationError(
      `No permission for ${what}: ${text}. Allow the subjects «$JS.>» and «_INBOX.>»`,
    );
  if (code === apiCode.streamNotFound || code === apiCode.consumerNotFound)
    return new TopologyMismatchError(`${what} does not exist. Create it, or set «provision» to true`);
  if (code === apiCode.subjectsOverlap) {
    return new TopologyMismatchError(
      `${what} cannot be created: another stream has its subjects (${text}). Choose another «stream» in nats({…}), or delete that one`,
    );
  }
  const passing = (code === apiCode.noPeers && text.includes('offline')) || LIMIT_REACHED.test(text);
  if (!passing && status !== undefined && status >= 400 && status < 500)
    return new TopologyMismatchError(`${what} cannot be declared: ${text}`);
  return new NotConnectedError(`NATS did not answer about ${what}: ${text}`);
}
