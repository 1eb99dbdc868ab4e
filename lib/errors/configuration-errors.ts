import { brand } from './brand.js';
import { MessagingError } from './messaging-error.js';
import { redactCredentials } from './redact.js';

/** In place of a value that may be a secret. */
export const NOT_SHOWN = Symbol('a value that is not shown, because it may be a secret');

/** An option has the wrong type, is out of range, or contradicts another one. Thrown at once, before anything is sent. */
export class InvalidOptionError extends MessagingError {
  readonly code = 'INVALID_OPTION';
  readonly retryable = false;

  /** `value` is told in the message, shortened and without credentials; the error does not keep it. */
  constructor(
    readonly option: string,
    value: unknown,
    readonly allowed: string,
  ) {
    super(`Option «${option}» is ${describe(value)}; allowed: ${allowed}`);
  }
}

/** Two subscriptions contradict each other, or one cannot exist as it is written. Thrown at boot. */
export class SubscriptionConflictError extends MessagingError {
  readonly code = 'SUBSCRIPTION_CONFLICT';
  readonly retryable = false;
}

/** The broker refuses the configuration: credentials, virtual host, permissions, protocol. Thrown at boot only. */
export class BrokerConfigurationError extends MessagingError {
  readonly code = 'BROKER_CONFIGURATION';
  readonly retryable = false;
}

/** A queue or exchange is missing (`provision: false`) or exists with other arguments than the subscription needs. */
export class TopologyMismatchError extends MessagingError {
  readonly code = 'TOPOLOGY_MISMATCH';
  readonly retryable = false;
}

/** An optional peer dependency is not installed. The message holds the command that installs it. */
export class MissingPeerError extends MessagingError {
  readonly code = 'MISSING_PEER';
  readonly retryable = false;

  constructor(
    readonly packageName: string,
    versions: string,
    neededBy: string,
  ) {
    super(
      `${neededBy} needs the package «${packageName}», which is not installed. Run: npm install ${packageName}@${versions}`,
    );
  }
}

/** The transport in use cannot do what was asked. */
export class UnsupportedError extends MessagingError {
  readonly code = 'UNSUPPORTED';
  readonly retryable = false;
}

function describe(value: unknown): string {
  if (value === NOT_SHOWN) return NOT_SHOWN.description!;
  if (typeof value === 'string') {
    const text = redactCredentials(value);
    return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
  }
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  return String(value);
}

brand({
  InvalidOptionError,
  SubscriptionConflictError,
  BrokerConfigurationError,
  TopologyMismatchError,
  MissingPeerError,
  UnsupportedError,
});
