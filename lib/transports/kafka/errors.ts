import { BrokerConfigurationError } from '../../errors/configuration-errors.js';
import type { MessagingError } from '../../errors/messaging-error.js';
import { MessageTooLargeError, PublishRefusedError } from '../../errors/publish-errors.js';
import { ClientError } from './client-port.js';

const TOO_LARGE = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE']);
/** Nothing that is sent again would be taken. */
const REFUSED = new Set([
  ...TOO_LARGE,
  'CORRUPT_MESSAGE',
  'INVALID_RECORD',
  'INVALID_TIMESTAMP',
  'INVALID_TOPIC_EXCEPTION',
  'TOPIC_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'POLICY_VIOLATION',
]);
/** The topic was deleted since it was looked up. */
const GONE = new Set(['UNKNOWN_TOPIC_OR_PARTITION', 'UNKNOWN_TOPIC_ID']);

/** Somebody else leads it, or nobody yet. */
const MOVING = new Set([
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_FOR_PARTITION',
  'GROUP_LOAD_IN_PROGRESS',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR_FOR_GROUP',
  'NOT_CONTROLLER',
  'REBALANCE_IN_PROGRESS',
  ...GONE,
]);

/** The broker answered, and did not take one of the records; others may be written. */
export function isOverWhatWasSent(error: unknown): boolean {
  return error instanceof ClientError && error.type !== undefined && REFUSED.has(error.type);
}

export function isOverAMove(error: unknown): boolean {
  return error instanceof ClientError && error.type !== undefined && MOVING.has(error.type);
}

export function isOverMissingTopic(error: unknown): boolean {
  return error instanceof ClientError && error.type !== undefined && GONE.has(error.type);
}

/** Why one record alone was refused. `text`: the error, without credentials. */
export function refusal(error: ClientError, text: string): MessagingError {
  return TOO_LARGE.has(error.type!)
    ? new MessageTooLargeError(`Kafka does not take the message: ${text} (topic option «max.message.bytes»)`)
    : new PublishRefusedError(`Kafka does not take the message: ${text}`);
}

/** What the user may not do; waiting does not help. */
export function unauthorised(error: unknown, text: string): MessagingError | undefined {
  if (!(error instanceof ClientError) || !error.type?.endsWith('_AUTHORIZATION_FAILED')) return undefined;
  return new BrokerConfigurationError(`Kafka does not allow it to this user: ${text}. See the rights in docs/kafka.md`);
}

/** What waiting cannot cure about a connection; undefined: it may work later. */
export function misconfiguration(error: unknown, host: string, text: string): MessagingError | undefined {
  if (!(error instanceof ClientError) || !error.unauthenticated) return undefined;
  return new BrokerConfigurationError(
    `Kafka at ${host} refuses the credentials: ${text}. Check user, password and mechanism (option «kafka.sasl»)`,
  );
}
