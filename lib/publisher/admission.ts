import type { Clock } from '../clock/clock.js';
import type { MessagingError } from '../errors/messaging-error.js';
import { MessageTooLargeError, RetryQueueFullError } from '../errors/publish-errors.js';
import type { Bounds, BoundsOptions } from './bounds.js';
import { OrderedKeys } from './ordered-keys.js';
import type { Publication } from './publication.js';
import { WaitingLine } from './waiting-line.js';

export interface AdmissionOptions extends BoundsOptions {
  readonly whenFull: 'reject' | 'wait';
  readonly waitTimeout: number;
}

/** What the admission needs of the dispatcher. */
export interface AdmissionPort {
  /** What is under way will make room; else only the retry queue can. */
  readonly draining: boolean;
  /** It can be sent or queued now. */
  hasPlace(publication: Publication): boolean;
  /** Sends or queues it. */
  place(publication: Publication): void;
  /** It is not accepted. */
  refuse(publication: Publication, error: MessagingError): void;
  /** Somebody left the line. */
  advance(): void;
}

/**
 * Who is not accepted yet: waits behind the first of its key (`ordered`), or in line, first come first served. While
 * nothing can make room for the first in line, `whenFull` decides whether it is refused or waits up to a deadline.
 */
export class Admission implements Iterable<Publication> {
  private readonly line: WaitingLine;
  private readonly ordered = new OrderedKeys();

  constructor(
    private readonly options: AdmissionOptions,
    private readonly bounds: Bounds,
    clock: Clock,
    private readonly port: AdmissionPort,
  ) {
    this.line = new WaitingLine(options.waitTimeout, clock, (publication) => this.onTimeout(publication));
  }

  /** Who waits in line; whoever waits behind the first of its key has that one under way or in line. */
  get length(): number {
    return this.line.size;
  }

  *[Symbol.iterator](): IterableIterator<Publication> {
    yield* this.line;
    yield* this.ordered;
  }

  admit(publication: Publication): void {
    if (!this.bounds.couldHold(publication))
      return this.port.refuse(publication, tooLarge(publication, this.options.maxBytes));
    if (!this.ordered.enter(publication)) return;
    if (this.line.size === 0 && this.port.hasPlace(publication)) return this.port.place(publication);
    this.line.add(publication);
    if (!this.port.draining) this.serve();
  }

  /** Places who waits in line, in order, as far as there is place. */
  serve(): void {
    for (const publication of this.line) {
      if (this.port.hasPlace(publication)) {
        this.line.delete(publication);
        this.port.place(publication);
      } else if (this.port.draining) {
        return;
      } else if (this.options.whenFull === 'wait') {
        return this.line.setDeadlines();
      } else {
        this.line.delete(publication);
        this.port.refuse(publication, full(this.options));
      }
    }
  }

  /** It is in the retry queue now, or has its result: the next of its key may go on, from the end of the line. */
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

  private onTimeout(publication: Publication): void {
    const { waitTimeout } = this.options;
    this.port.refuse(
      publication,
      new RetryQueueFullError(
        `The publisher retry queue stayed full for ${waitTimeout} ms; the message was not accepted`,
      ),
    );
    this.port.advance();
  }
}

function full({ maxMessages, maxBytes }: BoundsOptions): RetryQueueFullError {
  return new RetryQueueFullError(
    `The publisher retry queue is full (${maxMessages} messages or ${maxBytes} bytes); the message was not accepted`,
  );
}

function tooLarge({ bytes }: Publication, maxBytes: number): MessageTooLargeError {
  return new MessageTooLargeError(
    `The message takes ${bytes} bytes; the publisher retry queue (maxBytes) never holds more than ${maxBytes}`,
  );
}
