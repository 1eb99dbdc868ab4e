import { header, integerHeader, stringHeader, type Headers } from '../message/headers.js';
import { isolateHeaders } from '../message/isolate.js';
import type { WireMessage } from '../message/message.js';
import type { PublisherDeadLetter } from '../publisher/publisher-dead-letters.js';

/** A message that was given up, with the reason. */
export interface DeadLetter {
  readonly id: string;
  /** The dead-letter queue that holds it; undefined for a dead letter of the publisher. */
  readonly deadLetterQueue: string | undefined;
  readonly route: string;
  /** The bytes as they were published. */
  readonly body: Buffer;
  readonly headers: Headers;
  /**
   * `attempts-exhausted`, `unrecoverable`, `undecodable`, `expired`, `crashed`; the publisher's own also `unsendable`; what
   * RabbitMQ dead-lettered by itself `broker: rejected` and the like.
   */
  readonly reason: string;
  readonly error: { readonly class: string; readonly code?: string; readonly message: string; readonly stack?: string };
  /** Handler calls made; of the publisher's own: failed sends. */
  readonly attempts: number;
  /** When the message was given up, in milliseconds since the epoch; undefined where nobody said. */
  readonly time: number | undefined;
  readonly origin: {
    readonly topic?: string;
    readonly queue?: string;
    readonly service?: string;
    readonly host?: string;
  };
}

/**
 * Reads a message found in a dead-letter queue; one that another client put there has the reason `unknown`. It is for
 * application code, and shares nothing changeable with the message.
 */
export function readDeadLetter(message: WireMessage, deadLetterQueue: string): DeadLetter {
  const { headers } = message;
  const text = (name: string): string | undefined => stringHeader(headers, name);
  return frozen({
    id: message.id,
    deadLetterQueue,
    route: text(header.originRoute) ?? message.route,
    body: Buffer.from(message.body),
    headers: isolateHeaders(headers),
    reason: text(header.reason) ?? 'unknown',
    error: {
      class: text(header.errorClass) ?? 'unknown',
      message: text(header.errorMessage) ?? '',
      ...optional('code', text(header.errorCode)),
      ...optional('stack', text(header.errorStack)),
    },
    attempts: integerHeader(headers, header.attempt, 0, Number.MAX_SAFE_INTEGER) ?? 0,
    time: integerHeader(headers, header.originTime, 0, Number.MAX_SAFE_INTEGER),
    origin: {
      ...optional('topic', text(header.originTopic)),
      ...optional('queue', text(header.originQueue)),
      ...optional('service', text(header.originService)),
      ...optional('host', text(header.originHost)),
    },
  });
}

/** A dead letter of the publisher. */
export function readPublisherDeadLetter(letter: PublisherDeadLetter): DeadLetter {
  const { message, reason, error, attempts, time } = letter;
  return frozen({
    id: message.id,
    deadLetterQueue: undefined,
    route: message.route,
    body: Buffer.from(message.body),
    headers: isolateHeaders(message.headers),
    reason,
    error: { class: error.name, code: error.code, message: error.message },
    attempts,
    time,
    origin: {},
  });
}

/** A redrive goes where the letter says, whatever a condition of the application does to it before. */
function frozen(letter: DeadLetter): DeadLetter {
  Object.freeze(letter.error);
  Object.freeze(letter.origin);
  return Object.freeze(letter);
}

function optional<K extends string>(key: K, value: string | undefined): { [P in K]?: string } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: string });
}
