import { hostname } from 'node:os';
import { MessagingError } from '../../errors/messaging-error.js';
import { errorMessage, redactCredentials } from '../../errors/redact.js';
import { textIn } from '../../errors/thrown-value.js';
import { type Headers, header } from '../../message/headers.js';
import { copiedProperties } from '../../message/copied-properties.js';
import { newMessageId } from '../../message/message-id.js';
import type { DeadLetterReason } from '../../pipeline/dead-letter-reason.js';
import type { Delivery } from '../../transport/delivery.js';
import type { Outgoing } from '../../transport/outgoing.js';
import { copyDedupeId } from './copy.js';

/** Bounds of what is written about an error, in characters. */
const MAX_MESSAGE = 1_024;
const MAX_STACK = 8_192;
const MAX_CLASS = 255;

export interface DeadLetterSource {
  readonly delivery: Delivery;
  /** Where the delivery came from first. */
  readonly origin: Headers;
  readonly attempt: number;
  readonly reason: DeadLetterReason;
  readonly error: unknown;
  readonly service: string;
  readonly now: number;
  /** Write the error's stack. */
  readonly stack: boolean;
}

/** The raw bytes and all headers of a delivery, plus why it was given up, for the dead-letter queue bound by `route`. */
export function deadLetterCopy(source: DeadLetterSource, route: string): Outgoing {
  const { delivery, attempt } = source;
  const { message } = delivery;
  // A foreign message without an id gets one, so that an operator can name it.
  const id = message.id || newMessageId(source.now);
  const { [header.suspect]: _, ...headers } = message.headers;
  return {
    to: { kind: 'dead-letter', route },
    message: {
      ...message,
      id,
      headers: { ...headers, ...source.origin, ...describe(source) },
      properties: copiedProperties(message),
    },
    dedupeId: copyDedupeId(id, delivery.queue, `dead-letter:${attempt}`, source.now),
    mandatory: true,
  };
}

function describe({ attempt, reason, error, service, now, stack }: DeadLetterSource): Headers {
  return {
    [header.attempt]: attempt,
    [header.reason]: reason,
    ...(error !== undefined && describeError(error, stack)),
    [header.originTime]: now,
    [header.originService]: service,
    [header.originHost]: hostname(),
  };
}

/** An application can throw anything: what cannot be read is left out. */
function describeError(error: unknown, stack: boolean): Headers {
  const name = textIn(() => (error instanceof Error ? error.name || error.constructor.name : typeof error));
  const trace = stack ? textIn(() => (error instanceof Error ? error.stack : undefined)) : undefined;
  const code = textIn(() => (error instanceof MessagingError ? error.code : undefined));
  return {
    [header.errorClass]: name?.slice(0, MAX_CLASS) ?? 'unknown',
    ...(code !== undefined && { [header.errorCode]: code.slice(0, MAX_CLASS) }),
    [header.errorMessage]: errorMessage(error).slice(0, MAX_MESSAGE),
    ...(trace !== undefined && { [header.errorStack]: redactCredentials(trace).slice(0, MAX_STACK) }),
  };
}
