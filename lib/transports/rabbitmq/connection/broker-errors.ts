import {
  BrokerConfigurationError,
  MissingPeerError,
  TopologyMismatchError,
} from '../../../errors/configuration-errors.js';
import { type MessagingError } from '../../../errors/messaging-error.js';
import type { Address } from './address.js';
import type { AmqpError } from './amqplib.js';

/** AMQP reply codes that are branched on. */
export const reply = {
  connectionForced: 320,
  accessRefused: 403,
  notFound: 404,
  resourceLocked: 405,
  preconditionFailed: 406,
} as const;

/** The text of an error of amqplib, without its decoration. The caller redacts. */
export function describe(error: unknown): string {
  const { message = String(error), code } = error as AmqpError;
  const withMessage = /with message "(.*)"$/s.exec(message);
  if (withMessage) return withMessage[1];
  const text = message || (error as AggregateError).errors?.map(describe).join(', ') || String(code ?? 'unknown error');
  return typeof code === 'string' && !text.includes(code) ? `${code} ${text}` : text;
}

/** How many milliseconds the broker waits for an ack, where it closed a channel over that. */
export function ackTimeoutIn(text: string): number | undefined {
  const match = /delivery acknowledgement on channel .* timed out(?:.*?(\d+) ms)?/s.exec(text);
  return match ? Number(match[1] ?? 0) : undefined;
}

export function replyCode(error: unknown): number | undefined {
  const { code } = error as AmqpError;
  return typeof code === 'number' ? code : undefined;
}

/** Whether the broker has ended a connection over something that it was sent, and not because it, or an operator, ends. */
export function isOverWhatWasSent(error: AmqpError | undefined): boolean {
  const code = error && replyCode(error);
  return code !== undefined && code !== reply.connectionForced;
}

/** An error of connecting, when waiting cannot cure it. */
export function connectionMisconfiguration(error: unknown, address: Address): MessagingError | undefined {
  if (error instanceof MissingPeerError) return error;
  const { message = '', code } = error as AmqpError;
  const at = `RabbitMQ at ${address.host}`;
  if (/Handshake terminated by server: 403/.test(message) || /ACCESS[_-]REFUSED/.test(message)) {
    return new BrokerConfigurationError(`${at} refuses the credentials. Check user and password`);
  }
  // amqplib does not tell the broker's reply here: the virtual host is missing, forbidden to this user, or at its limit.
  if (/Expected ConnectionOpenOk; got <ConnectionClose/.test(message) || /NOT[_-]ALLOWED/.test(message)) {
    return new BrokerConfigurationError(
      `${at} refuses the virtual host «${address.vhost}»: it does not exist, the user has no permission for it, or its connection limit is reached`,
    );
  }
  if (/SASL mechanism/.test(message)) return new BrokerConfigurationError(`${at}: ${address.redact(message)}`);
  if (typeof code === 'string' && TLS_ERRORS.test(code))
    return new BrokerConfigurationError(`${at}: TLS failed, ${code}`);
  return undefined;
}

const TLS_ERRORS = /^(ERR_SSL_|ERR_TLS_|EPROTO$|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/;

const LIMIT_REACHED = /\blimit\b.*\bis reached\b/;

/** An error of declaring, when waiting cannot cure it. `what` is the thing that was declared, for a reply that does not name it. */
export function topologyMisconfiguration(
  error: unknown,
  what: string,
  redact: (text: string) => string,
): MessagingError | undefined {
  const text = redact(describe(error));
  // amqplib could not write it: a name over 255 bytes, an argument of no AMQP type.
  if (error instanceof TypeError || error instanceof RangeError) {
    return new TopologyMismatchError(`${what} cannot be declared: ${text}`);
  }
  // The broker says 406 for a limit, too; but queues come and go, and limits are raised.
  if (LIMIT_REACHED.test(text)) return undefined;
  switch (replyCode(error)) {
    case reply.preconditionFailed:
      return new TopologyMismatchError(explainMismatch(text) ?? `${what} cannot be declared: ${text}`);
    case reply.notFound:
      return new TopologyMismatchError(`${what} does not exist. Create it, or set «provision» to true`);
    case reply.accessRefused:
      return new BrokerConfigurationError(`No permission for ${what}: ${text}`);
    default:
      return undefined;
  }
}

/** Puts the broker's «inequivalent arg» into words: what, which argument, wanted, found, remedy. */
export function explainMismatch(text: string): string | undefined {
  const match =
    /inequivalent arg '([^']+)' for (queue|exchange) '([^']+)'.*?: received (.+?) but current is (.+)$/s.exec(text);
  if (!match) return undefined;
  const [, argument, kind, name, wanted, found] = match;
  const remedy =
    kind === 'queue'
      ? `Give the subscription this argument (\`rabbitmq: { … }\`), or delete the queue once it is empty`
      : `Use another exchange, or delete this one`;
  return `The ${kind} «${name}» exists with another «${argument}»: wanted ${value(wanted)}, found ${value(found)}. ${remedy}`;
}

function value(text: string): string {
  const match = /^(?:the value )?'(.*?)'(?: of type '\w+')?$/s.exec(text.trim());
  return match ? `«${match[1]}»` : text.trim();
}
