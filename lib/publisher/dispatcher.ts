import type { Clock } from '../clock/clock.js';
import type { MessagingError } from '../errors/messaging-error.js';
import {
  MessageExpiredError,
  NotConnectedError,
  PublishFailedError,
  PublisherClosedError,
} from '../errors/publish-errors.js';
import type { Log } from '../events/log.js';
import type { MessagingEvents } from '../events/messaging-events.js';
import type { PublishResult } from '../transport/outgoing.js';
import type { PublishDone, Transport } from '../transport/transport.js';
import { Admission, type AdmissionOptions } from './admission.js';
import { Bounds } from './bounds.js';
import type { Publication } from './publication.js';
import type { PublisherDeadLetters } from './publisher-dead-letters.js';
import { RetryQueue } from './retry-queue.js';
import type { RetryQueueStore } from './retry-queue-store.js';

/** A queued message that so many passes found unroutable is given up. */
const MAX_RETURNS = 3;

export interface DispatcherOptions extends AdmissionOptions {
  readonly maxInFlight: number;
  readonly interval: number;
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
 */
export class Dispatcher {
  readonly retryQueue: RetryQueue;
  private readonly inFlight = new Set<Publication>();
  private readonly bounds: Bounds;
  private readonly admission: Admission;
  private readonly done: PublishDone = (outgoing, result) => this.onResult(outgoing as Publication, result);
  private batch: Publication[] | undefined;
  private ready = false;
  /** Why nothing can be sent, while it is not ready. */
  private obstacle = 'There is no connection to the broker';
  private closed = false;
  private ended = false;
  private idle: (() => void) | undefined;

  constructor(
    private readonly options: DispatcherOptions,
    private readonly environment: DispatcherEnvironment,
  ) {
    const { store, clock } = environment;
    this.retryQueue = new RetryQueue(store, options.interval, clock, {
      canSend: () => this.ready && this.windowOpen,
      send: (publication) => this.send(publication),
      advance: () => this.advance(),
      expired: (publication) =>
        this.giveUp(
          publication,
          new MessageExpiredError('Its time to live ended while it waited in the publisher retry queue'),
        ),
    });
    this.bounds = new Bounds(options, this.retryQueue);
    const draining = (): boolean => this.ready && this.inFlight.size > 0;
    this.admission = new Admission(options, this.bounds, clock, {
      get draining() {
        return draining();
      },
      hasPlace: (publication) => this.hasPlace(publication),
      place: (publication) => this.place(publication),
      refuse: (publication, error) => this.refuse(publication, error),
      advance: () => this.advance(),
    });
  }

  /** Zero when everything has its final result. */
  get unsettledCount(): number {
    return this.inFlight.size + this.admission.length + this.retryQueue.depth;
  }

  submit(publications: readonly Publication[]): void {
    for (const publication of publications) this.accept(publication);
    this.flush();
  }

  submitOne(publication: Publication): void {
    this.accept(publication);
    this.flush();
  }

  /** Connected and not blocked: the queue goes first, then who waits in line. */
  resume(): void {
    if (this.ended) return;
    this.ready = true;
    this.retryQueue.retry();
    this.advance();
  }

  /** Disconnected or blocked: nothing is sent, and nobody is kept waiting for a confirm. */
  suspend(reason: string): void {
    if (this.ended) return;
    this.ready = false;
    this.obstacle = reason;
    for (const publication of this.inFlight) {
      if (publication.queuedAt === undefined) this.enqueue(publication, new NotConnectedError(reason));
    }
    this.advance();
  }

  /** Takes nothing more, and waits until everything is settled or `deadline` is aborted. Returns what is left. */
  async close(deadline: AbortSignal): Promise<Publication[]> {
    this.closed = true;
    this.retryQueue.retry();
    this.advance();
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

  private accept(publication: Publication): void {
    if (this.closed) publication.rejected(closedError());
    else this.admission.admit(publication);
  }

  private get windowOpen(): boolean {
    return this.inFlight.size < this.options.maxInFlight;
  }

  private mustQueue({ key }: Publication): boolean {
    return !this.ready || this.retryQueue.holds(key);
  }

  private hasPlace(publication: Publication): boolean {
    return this.bounds.hasRoom(publication) && (this.windowOpen || this.mustQueue(publication));
  }

  private place(publication: Publication): void {
    if (!this.ready) this.enqueue(publication, new NotConnectedError(this.obstacle));
    else if (this.mustQueue(publication))
      this.enqueue(
        publication,
        new PublishFailedError('Earlier messages of its key wait in the publisher retry queue'),
      );
    else this.send(publication);
  }

  private enqueue(publication: Publication, error: MessagingError): void {
    this.bounds.leave(publication);
    this.retryQueue.add(publication);
    this.admission.release(publication);
    const { events } = this.environment;
    if (events.has('queued')) events.emit('queued', { id: publication.message.id, to: publication.to, error });
  }

  private send(publication: Publication): void {
    publication.inFlight = true;
    this.inFlight.add(publication);
    this.bounds.enter(publication);
    if (this.batch) this.batch.push(publication);
    else this.batch = [publication];
  }

  /** Hands over what was gathered, as one batch. */
  private flush(): void {
    while (this.batch) {
      const batch = this.batch;
      this.batch = undefined;
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
    this.advance();
  }

  private succeed(publication: Publication): void {
    this.leave(publication);
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
    if (publication.unroutable === 'queue' || this.mayBeBoundSoon(publication)) this.keep(publication, error);
    else if (publication.unroutable === 'ignore') this.succeed(publication);
    else this.giveUp(publication, error);
  }

  /** After an outage the publishing connection can be back before consumers, perhaps of another process, have bound. */
  private mayBeBoundSoon(publication: Publication): boolean {
    return publication.queuedAt !== undefined && ++publication.returns < MAX_RETURNS;
  }

  /** A passing reason: it goes to the retry queue, or keeps its place there. */
  private keep(publication: Publication, error: MessagingError): void {
    if (publication.queuedAt === undefined) this.enqueue(publication, error);
    this.retryQueue.failed(publication);
  }

  private giveUp(publication: Publication, error: MessagingError): void {
    const { deadLetters, clock, log } = this.environment;
    const { message, to } = publication;
    if (publication.queuedAt !== undefined) {
      deadLetters.add({ message, to, error, time: clock.now() });
      log.error(`Message ${message.id} cannot be sent and went to the publisher's dead letters: ${error.message}`);
    }
    this.leave(publication);
    this.refuse(publication, error);
  }

  /** Its caller is told that it will never be sent. */
  private refuse(publication: Publication, error: MessagingError): void {
    this.admission.release(publication);
    publication.rejected(error);
    const { events } = this.environment;
    if (events.has('publish-failed'))
      events.emit('publish-failed', { id: publication.message.id, to: publication.to, error });
  }

  /** It has its final result. */
  private leave(publication: Publication): void {
    if (publication.queuedAt === undefined) this.bounds.leave(publication);
    else this.retryQueue.remove(publication);
    this.admission.release(publication);
  }

  /** There may be room now: for the queue, then for who waits in line. */
  private advance(): void {
    this.retryQueue.pump();
    if (this.admission.length > 0) this.admission.serve();
    this.flush();
    if (this.idle && this.unsettledCount === 0) this.idle();
  }

  /** Ends what has no result at the deadline. */
  private abandon(): Publication[] {
    this.ended = true;
    const unsent = new Set([...this.environment.store, ...this.inFlight, ...this.admission.close()]);
    for (const publication of unsent) publication.rejected(closedError());
    return [...unsent];
  }
}

function closedError(): PublisherClosedError {
  return new PublisherClosedError('The publisher is closed: the application is shutting down');
}
