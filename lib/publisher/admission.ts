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
 * Who is not accepted yet: waits behind the first of its key (`ordered`), or in line, first come first served.
 *
 * Who waits is bounded, too. With `whenFull: 'reject'` it counts against the bounds like what is held, so that whoever may
 * wait has room, also when the connection is lost. With `'wait'` as much again may wait as may be held, and who is first
 * in line while nothing can make room waits up to a deadline.
 */
export class Admission implements Iterable<Publication> {
  private readonly line: WaitingLine;
  private readonly ordered = new OrderedKeys();
  /** Everybody in line, and everybody behind the first of its key. */
  private readonly waiting = { depth: 0, bytes: 0 };

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
    const first = this.ordered.enter(publication);
    if (first && this.line.size === 0 && this.leavesRoom(publication) && this.port.hasPlace(publication))
      return this.port.place(publication);
    if (!this.mayWait(publication)) return this.port.refuse(publication, full(this.options));
    this.waiting.depth++;
    this.waiting.bytes += publication.bytes;
    if (!first) return;
    this.line.add(publication);
    if (!this.port.draining) this.serve();
  }

  /** Places who waits in line, in order, as far as there is place. */
  serve(): void {
    for (const publication of this.line) {
      if (!this.port.hasPlace(publication)) {
        if (!this.port.draining) this.line.setDeadlines();
        return;
      }
      this.line.delete(publication);
      this.noLongerWaits(publication);
      this.port.place(publication);
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

  /** Who may wait already keeps the room it was promised. */
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

  private onTimeout(publication: Publication): void {
    this.noLongerWaits(publication);
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
