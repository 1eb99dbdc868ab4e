import { MessagingError } from '../errors/messaging-error.js';
import type { WireMessage } from '../message/message.js';
import type { Destination } from '../transport/outgoing.js';

/** Why a message was given up. */
export interface Death {
  readonly reason: 'expired' | 'attempts-exhausted' | 'unsendable';
  readonly error: { readonly name: string; readonly code: string; readonly message: string };
  /** Milliseconds since the epoch. */
  readonly time: number;
}

/** A message that its publisher was told is `queued` and that cannot be sent after all. */
export interface PublisherDeadLetter extends Death {
  /** The place that the message had in the queue. */
  readonly seq: number;
  readonly message: WireMessage;
  readonly to: Destination;
  /** Sends that failed for a passing reason. */
  readonly attempts: number;
}

/** The publisher's dead letters, in order. */
export interface PublisherDeadLetters {
  readonly size: number;
  /** The dead letters behind a place (0: from the first), at most `limit`. */
  after(seq: number, limit: number): PublisherDeadLetter[];
  /** In the order in which they were given up, at most `limit`. Absent: by their places, which is nearly the same. */
  oldest?(limit: number): PublisherDeadLetter[];
  /** Deletes a dead letter for good; false when it is not there any more. */
  delete(letter: PublisherDeadLetter): boolean;
  /** Deletes several together, where that is cheaper than one by one. @returns how many were there */
  deleteAll?(letters: readonly PublisherDeadLetter[]): number;
}

const PAGE = 100;

/** All dead letters, page by page, so that any number fits. */
export function* allDeadLetters(letters: PublisherDeadLetters): Generator<PublisherDeadLetter> {
  for (let page = letters.after(0, PAGE); page.length > 0; page = letters.after(page.at(-1)!.seq, PAGE)) yield* page;
}

export function oldestDeadLetters(letters: PublisherDeadLetters, limit: number): PublisherDeadLetter[] {
  return letters.oldest?.(limit) ?? letters.after(0, limit);
}

/** @returns how many of the dead letters were there */
export function deleteDeadLetters(letters: PublisherDeadLetters, some: readonly PublisherDeadLetter[]): number {
  if (letters.deleteAll) return letters.deleteAll(some);
  return some.reduce((count, one) => count + Number(letters.delete(one)), 0);
}

/** The error of a message that was given up, as far as it was kept. */
class KeptError extends MessagingError {
  readonly retryable = false;

  constructor(
    name: string,
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = name;
  }
}

export function errorOf({ error }: Pick<Death, 'error'>): MessagingError {
  return error instanceof MessagingError ? error : new KeptError(error.name, error.code, error.message);
}
