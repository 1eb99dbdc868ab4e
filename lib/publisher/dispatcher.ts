import type { Clock } from '../clock/clock.js';
import type { MessagingError } from '../errors/messaging-error.js';
import {
  MessageExpiredError,
  NotConnectedError,
  PublisherClosedError,
  RetryQueueFullError,
} from '../errors/publish-errors.js';
import type { Log } from '../events/log.js';
import type { MessagingEvents } from '../events/messaging-events.js';
import type { PublishResult } from '../transport/outgoing.js';
import type { PublishDone, Transport } from '../transport/transport.js';
import { OrderedKeys } from './ordered-keys.js';
import type { Publication } from './publication.js';
import type { PublisherDeadLetters } from './publisher-dead-letters.js';
import { RetryQueue } from './retry-queue.js';
import type { RetryQueueStore } from './retry-queue-store.js';
import { RoomLine } from './room-line.js';

export interface DispatcherOptions {
  readonly maxInFlight: number;
  readonly interval: number;
  readonly maxMessages: number;
  readonly maxBytes: number;
  readonly whenFull: 'reject' | 'wait';
  readonly waitTimeout: number;
}

export interface DispatcherEnvironment {
  readonly transport: Transport;
  readonly store: RetryQueueStore;
  readonly deadLetters: PublisherDeadLetters;
  readonly clock: Clock;
  readonly events: MessagingEvents;
  readonly log: Log;
}

/**
 * Takes every publish to its fate: sends it while the connection is ready and the window open, makes it wait in line
 * while the window is full, and hands it to the retry queue when it cannot be sent for a passing reason.
 *
 * What is under way and what is queued together stay within `maxMessages` and `maxBytes`, so that everything under way
 * has room in the queue when the connection is lost.
 */
export class Dispatcher {
  readonly retryQueue: RetryQueue;
  private readonly inFlight = new Set<Publication>();
  private readonly line = new Set<Publication>();
  private readonly ordered = new OrderedKeys();
  private readonly room: RoomLine;
  private readonly done: PublishDone = (outgoing, result) => this.onResult(outgoing as Publication, result);
  private batch: Publication[] = [];
  /** What is under way and not in the retry queue as well. */
  private readonly fresh = { count: 0, bytes: 0 };
  private ready = false;
  private closed = false;
  private ended = false;
  private idle: (() => void) | undefined;

  constructor(
    private readonly options: DispatcherOptions,
    private readonly environment: DispatcherEnvironment,
  ) {
    const { store, clock } = environment;
    this.room = new RoomLine(options.waitTimeout, clock);
    this.retryQueue = new RetryQueue(store, options.interval, clock, {
      canSend: () => this.ready && this.inFlight.size < options.maxInFlight,
      send: (publication) => this.send(publication),
      flush: () => this.flush(),
      expired: (publication) =>
        this.giveUp(
          publication,
          new MessageExpiredError('Its time to live ended while it waited in the publisher retry queue'),
        ),
    });
  }

  /** Messages under way to the broker. */
  get inFlightCount(): number {
    return this.inFlight.size;
  }

  /** Everything that has no final result yet. */
  get unsettledCount(): number {
    return this.inFlight.size + this.line.size + this.room.length + this.retryQueue.depth;
  }

  submit(publications: readonly Publication[]): void {
    for (const publication of publications) {
      if (this.closed) publication.rejected(closedError());
      else this.admit(publication);
    }
    this.flush();
  }

  /** Connected and not blocked: the queue goes first, then who waits in line. */
  resume(): void {
    this.ready = true;
    this.retryQueue.retry();
    this.advance();
  }

  /** Disconnected or blocked: nothing is sent, and nobody is kept waiting for a confirm. */
  suspend(reason: string): void {
    this.ready = false;
    for (const publication of this.inFlight) {
      if (publication.queuedAt === undefined) this.enqueue(publication, new NotConnectedError(reason));
    }
    const line = [...this.line];
    this.line.clear();
    for (const publication of line) this.admit(publication);
  }

  /** Takes nothing more, and waits until everything is settled or `deadline` is aborted. Returns what is left. */
  async close(deadline: AbortSignal): Promise<Publication[]> {
    this.closed = true;
    this.retryQueue.retry();
    this.flush();
    if (this.unsettledCount > 0 && !deadline.aborted) {
      await new Promise<void>((resolve) => {
        this.idle = resolve;
        deadline.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    this.ready = false;
    this.retryQueue.close();
    return this.abandon();
  }

  private admit(publication: Publication): void {
    if (!this.ready || this.retryQueue.holds(publication.key)) return this.park(publication);
    if (!this.ordered.enter(publication)) return;
    if (this.line.size > 0 || !this.windowOpen(publication)) this.wait(publication);
    else this.send(publication);
  }

  private windowOpen(publication: Publication): boolean {
    return this.inFlight.size < this.options.maxInFlight && this.hasRoom(publication);
  }

  private hasRoom({ bytes }: Publication): boolean {
    const { maxMessages, maxBytes } = this.options;
    return (
      this.fresh.count + this.retryQueue.depth < maxMessages &&
      this.fresh.bytes + this.retryQueue.bytes + bytes <= maxBytes
    );
  }

  private wait(publication: Publication): void {
    // What is under way makes room; when nothing is, only the retry queue can.
    if (this.inFlight.size > 0) this.line.add(publication);
    else this.full(publication);
  }

  private park(publication: Publication): void {
    if (this.hasRoom(publication))
      this.enqueue(publication, new NotConnectedError('There is no connection to the broker'));
    else this.full(publication);
  }

  private full(publication: Publication): void {
    const { whenFull, maxMessages, maxBytes } = this.options;
    this.ordered.leave(publication);
    if (whenFull === 'wait') return this.room.join(publication);
    publication.rejected(
      new RetryQueueFullError(
        `The publisher retry queue is full (${maxMessages} messages or ${maxBytes} bytes); the message was not accepted`,
      ),
    );
  }

  private enqueue(publication: Publication, error: MessagingError): void {
    this.discount(publication);
    this.retryQueue.add(publication);
    const { events } = this.environment;
    if (events.has('queued')) events.emit('queued', { id: publication.message.id, to: publication.to, error });
  }

  private send(publication: Publication): void {
    publication.inFlight = true;
    this.inFlight.add(publication);
    if (publication.queuedAt === undefined) {
      publication.fresh = true;
      this.fresh.count++;
      this.fresh.bytes += publication.bytes;
    }
    this.batch.push(publication);
  }

  private discount(publication: Publication): void {
    if (!publication.fresh) return;
    publication.fresh = false;
    this.fresh.count--;
    this.fresh.bytes -= publication.bytes;
  }

  /** Hands over what was gathered, as one batch. */
  private flush(): void {
    while (this.batch.length > 0) {
      const batch = this.batch;
      this.batch = [];
      this.environment.transport.publish(batch, this.done);
    }
  }

  private onResult(publication: Publication, result: PublishResult): void {
    if (this.ended) return;
    publication.inFlight = false;
    this.inFlight.delete(publication);
    switch (result.status) {
      case 'confirmed':
        this.succeed(publication);
        break;
      case 'unroutable':
        this.returned(publication, result.error);
        break;
      case 'refused':
        this.giveUp(publication, result.error);
        break;
      case 'failed':
        this.keep(publication, result.error);
    }
    for (const follower of this.ordered.leave(publication)) this.admit(follower);
    this.advance();
  }

  private succeed(publication: Publication): void {
    this.leaveQueue(publication);
    publication.confirmed();
    const { events } = this.environment;
    if (events.has('published'))
      events.emit('published', {
        id: publication.message.id,
        to: publication.to,
        bytes: publication.message.body.length,
      });
  }

  private returned(publication: Publication, error: MessagingError): void {
    const { events } = this.environment;
    if (events.has('returned')) events.emit('returned', { id: publication.message.id, to: publication.to });
    if (publication.unroutable === 'queue') this.keep(publication, error);
    else this.giveUp(publication, error);
  }

  /** A passing reason: it goes to the retry queue, or keeps its place there. */
  private keep(publication: Publication, error: MessagingError): void {
    if (publication.queuedAt === undefined) this.enqueue(publication, error);
    this.retryQueue.failed(publication);
  }

  private giveUp(publication: Publication, error: MessagingError): void {
    const { events, deadLetters, clock, log } = this.environment;
    const { message, to } = publication;
    if (publication.queuedAt !== undefined) {
      deadLetters.add({ message, to, error, time: clock.now() });
      log.error(`Message ${message.id} cannot be sent and went to the publisher's dead letters: ${error.message}`);
    }
    this.leaveQueue(publication);
    publication.rejected(error);
    if (events.has('publish-failed')) events.emit('publish-failed', { id: message.id, to, error });
  }

  private leaveQueue(publication: Publication): void {
    if (publication.queuedAt === undefined) this.discount(publication);
    else this.retryQueue.remove(publication);
  }

  /** There may be room now: for the queue, for who waits for room, for who waits in line. */
  private advance(): void {
    this.retryQueue.pump();
    this.admitFromRoomLine();
    for (const publication of this.line) {
      if (!this.windowOpen(publication)) break;
      this.line.delete(publication);
      if (this.retryQueue.holds(publication.key)) this.park(publication);
      else this.send(publication);
    }
    this.flush();
    if (this.idle && this.unsettledCount === 0) this.idle();
  }

  private admitFromRoomLine(): void {
    for (let first = this.room.first; first && this.hasRoom(first); first = this.room.first) {
      this.room.shift();
      this.admit(first);
    }
  }

  /** Ends what has no result at the deadline. */
  private abandon(): Publication[] {
    this.ended = true;
    const unsent = new Set<Publication>();
    for (const publication of this.environment.store) unsent.add(publication);
    for (const publication of this.inFlight) unsent.add(publication);
    for (const publication of [...this.line, ...this.ordered.followers()]) unsent.add(publication);
    for (let next = this.room.shift(); next; next = this.room.shift()) unsent.add(next);
    for (const publication of unsent) publication.rejected(closedError());
    return [...unsent];
  }
}

function closedError(): PublisherClosedError {
  return new PublisherClosedError('The publisher is closed: the application is shutting down');
}
