import type { Clock } from '../clock/clock.js';
import type { MessagingError } from '../errors/messaging-error.js';
import {
  MessageTooLargeError,
  NotConnectedError,
  PublishFailedError,
  RetryQueueFullError,
} from '../errors/publish-errors.js';
import type { Bounds, BoundsOptions } from './bounds.js';
import { OrderedKeys } from './ordered-keys.js';
import type { Publication } from './publication.js';
import { WaitingLine } from './waiting-line.js';

export interface AdmissionOptions extends BoundsOptions {
  readonly whenFull: 'reject' | 'wait';
  readonly waitTimeout: number;
}

/** What can be done with a publication now, or is to be done. */
export type Way = 'send' | 'queue' | 'wait';

/**
 * What is not accepted yet waits behind the first of its key (`ordered`), or in line, first come first served.
 *
 * What waits is bounded, too. With `whenFull: 'reject'` it counts against the bounds like what is held, so that what may
 * wait has room, also when the connection is lost. With `'wait'` as much again may wait as may be held, and the first
 * in line while nothing can make room waits up to a deadline.
 */
export class Admission implements Iterable<Publication> {
  private readonly line: WaitingLine;
  private readonly ordered = new OrderedKeys();
  /** All publications in line, and all behind the first of their key. */
  private readonly waiting = { depth: 0, bytes: 0 };

  constructor(
    private readonly options: AdmissionOptions,
    private readonly bounds: Bounds,
    clock: Clock,
    /** The publication has waited in line for too long and left it: it is not accepted. */
    timedOut: (publication: Publication, error: MessagingError) => void,
  ) {
    this.line = new WaitingLine(options.waitTimeout, clock, (publication) => {
      this.noLongerWaits(publication);
      timedOut(publication, stayedFull(options));
    });
  }

  /** How many wait in line; a publication behind the first of its key has that one under way or in line. */
  get length(): number {
    return this.line.size;
  }

  *[Symbol.iterator](): IterableIterator<Publication> {
    yield* this.line;
    yield* this.ordered;
  }

  /** What becomes of a new publication, of which this could be done now; an error: it is not accepted. */
  admit(publication: Publication, way: Way): Way | MessagingError {
    const { bounds, line } = this;
    if (!bounds.couldHold(publication)) return tooLarge(publication, this.options.maxBytes);
    const first = this.ordered.enter(publication);
    if (first && way !== 'wait' && line.size === 0 && this.leavesRoom(publication) && bounds.hasRoom(publication))
      return way;
    if (!this.mayWait(publication)) return full(this.options);
    this.waiting.depth++;
    this.waiting.bytes += publication.bytes;
    if (first) line.add(publication);
    return 'wait';
  }

  /** The publications in line, in order; one that has its turn may leave it meanwhile. */
  get inLine(): Iterable<Publication> {
    return this.line;
  }

  /**
   * What becomes of the first in line, of which this could be done now. `draining`: what is under way will make room; else
   * only the retry queue can, and everybody in line has a deadline.
   */
  turnOf(publication: Publication, way: Way, draining: boolean): Way {
    if (way === 'wait' || !this.bounds.hasRoom(publication)) {
      if (!draining) this.line.setDeadlines();
      return 'wait';
    }
    this.line.delete(publication);
    this.noLongerWaits(publication);
    return way;
  }

  /** The publication is queued now, or has its result: the next of its key may go on, from the end of the line. */
  release(publication: Publication): void {
    const next = this.ordered.leave(publication);
    if (next) this.line.add(next);
  }

  /** Ends the waiting of all. */
  close(): Publication[] {
    const waiting = [...this];
    for (const publication of waiting) this.line.delete(publication);
    return waiting;
  }

  /** Publications that may wait already keep the room they were promised. */
  private leavesRoom(publication: Publication): boolean {
    if (this.waiting.depth === 0 || this.options.whenFull === 'wait') return true;
    return this.bounds.hasRoomBehind(this.waiting, publication);
  }

  private mayWait(publication: Publication): boolean {
    const { whenFull, maxMessages, maxBytes } = this.options;
    if (whenFull === 'reject') return this.bounds.hasRoomBehind(this.waiting, publication);
    return this.waiting.depth < maxMessages && this.waiting.bytes + publication.bytes <= maxBytes;
  }

  private noLongerWaits(publication: Publication): void {
    this.waiting.depth--;
    this.waiting.bytes -= publication.bytes;
  }
}

/** `obstacle`: why nothing can be sent at all, where that is so. */
export function whyQueued({ policy }: Publication, obstacle: string | undefined): MessagingError {
  if (policy.holdUntil !== undefined)
    return new PublishFailedError('It waits for its time in the publisher retry queue');
  if (obstacle !== undefined) return new NotConnectedError(obstacle);
  return new PublishFailedError('Earlier messages of its key wait in the publisher retry queue');
}

function stayedFull({ waitTimeout }: AdmissionOptions): RetryQueueFullError {
  return new RetryQueueFullError(
    `The publisher retry queue stayed full for ${waitTimeout} ms; the message was not accepted`,
  );
}

function full({ whenFull, maxMessages, maxBytes }: AdmissionOptions): RetryQueueFullError {
  const what =
    whenFull === 'reject'
      ? 'Too many publishes have no result yet: queued, under way or in line'
      : 'Too many publishes wait for room in the publisher retry queue';
  return new RetryQueueFullError(
    `${what} (${maxMessages} messages or ${maxBytes} bytes); the message was not accepted`,
  );
}

function tooLarge({ bytes }: Publication, maxBytes: number): MessageTooLargeError {
  return new MessageTooLargeError(
    `The message takes ${bytes} bytes; the publisher retry queue (maxBytes) never holds more than ${maxBytes}`,
  );
}
