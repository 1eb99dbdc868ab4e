import type { Clock } from '../clock/clock.js';
import type { SteadyTime } from '../clock/steady-time.js';
import type { MessagingError } from '../errors/messaging-error.js';
import {
  MessageExpiredError,
  NotConnectedError,
  PublishCancelledError,
  PublisherClosedError,
} from '../errors/publish-errors.js';
import type { Log } from '../events/log.js';
import type { MessagingEvents } from '../events/messaging-events.js';
import type { WireMessage } from '../message/message.js';
import type { Telemetry } from '../pipeline/telemetry.js';
import type { PublishResult } from '../transport/outgoing.js';
import type { PublishDone, Transport } from '../transport/transport.js';
import { Admission, type AdmissionOptions, type Way, whyQueued } from './admission.js';
import { Bounds } from './bounds.js';
import { NackedDestinations } from './nacked-destinations.js';
import type { Publication } from './publication.js';
import type { Death } from './publisher-dead-letters.js';
import { QueuedReceipt } from './receipt.js';
import { type Failures, NOT_TRIED, RetryQueue } from './retry-queue.js';
import type { RetryQueueStore, StoredMessage } from './retry-queue-store.js';
import { QueuedResults } from './queued-results.js';
import { explained, type KnownBindings } from './unroutable-hint.js';

/** A queued message that so many passes found unroutable is given up. */
const MAX_RETURNS = 3;
const CLOSED = 'The publisher is closed: the application is shutting down';
const EXPIRED = 'Its time to live ended while it waited in the publisher retry queue';

export interface DispatcherOptions extends AdmissionOptions {
  readonly maxInFlight: number;
  readonly interval: number;
}

export interface DispatcherEnvironment {
  readonly transport: Transport;
  readonly store: RetryQueueStore;
  readonly clock: Clock;
  readonly time: SteadyTime;
  readonly events: MessagingEvents;
  readonly log: Log;
  readonly telemetry?: Telemetry;
  /** Whether somebody else sees to the publish with this `dedupeId`, should it fail. Left out: nobody does. */
  readonly isKept?: (dedupeId: string) => boolean;
  /** What this process knows of what is bound. Left out: nothing. */
  readonly bindings?: () => KnownBindings;
  /** Publishes are sent from now on. Left out: nobody waits for it. */
  readonly resumed?: () => void;
}

/**
 * Takes every publish to its fate: sends it while the connection is ready and the window open, makes it wait in line
 * while the window is full, and hands it to the retry queue when it cannot be sent for a passing reason.
 */
export class Dispatcher {
  readonly retryQueue: RetryQueue;
  readonly nacked: NackedDestinations;
  private readonly inFlight = new Set<Publication>();
  private readonly bounds: Bounds;
  private readonly admission: Admission;
  private readonly done: PublishDone = (outgoing, result) => this.onResult(outgoing as Publication, result);
  private batch: Publication[] | undefined;
  /** Why nothing is sent at the moment; undefined: what is published is. */
  obstacle: string | undefined = 'There is no connection to the broker';
  private closed = false;
  private ended = false;
  private idle: (() => void) | undefined;
  private readonly settlements: QueuedResults;
  private readonly undeliverable = new Set<number>();

  constructor(
    private readonly options: DispatcherOptions,
    private readonly environment: DispatcherEnvironment,
  ) {
    const { store, clock, time } = environment;
    this.nacked = new NackedDestinations(clock, environment.log);
    this.settlements = new QueuedResults(store);
    this.retryQueue = new RetryQueue(store, options.interval, clock, time, {
      canSend: () =>
        !this.obstacle && this.inFlight.size < this.options.maxInFlight && !(this.closed && store.kind === 'disk'),
      send: (publication) => this.send(publication),
      accepted: (publication, stored) => this.accepted(publication, stored),
      notAccepted: (publication, error) => this.notAccepted(publication, error),
      expired: (publication) => this.giveUp(publication, new MessageExpiredError(EXPIRED), 'expired'),
      advance: () => this.advance(),
    });
    this.bounds = new Bounds(options, this.retryQueue);
    this.admission = new Admission(options, this.bounds, clock, (publication, error) => {
      this.refuse(publication, error);
      this.advance();
    });
  }

  /** Zero when everything has its final result, or outlives the process. */
  get unsettledCount(): number {
    return this.inFlight.size + this.admission.length + this.environment.store.volatileDepth;
  }

  /** Messages that waited for their time and that no queue took since. */
  get undeliverableCount(): number {
    return this.undeliverable.size;
  }

  /** Takes back what waits for its time; false: nothing with this id does. @throws RetryQueueStoreError */
  cancel(id: string): boolean {
    const cancelled = this.retryQueue.cancel(id);
    if (cancelled.length === 0) return false;
    this.environment.store.flush();
    const error = new PublishCancelledError(`Message ${id} was cancelled before its time`);
    for (const { seq } of cancelled) {
      this.undeliverable.delete(seq);
      this.settlements.settle(seq, { id, outcome: 'rejected', error });
    }
    this.advance();
    return true;
  }

  submit(publications: readonly Publication[]): void {
    for (const publication of publications) this.accept(publication);
    this.flush();
  }

  submitOne(publication: Publication): void {
    this.accept(publication);
    this.flush();
  }

  /** Connected and not blocked: the queue goes first, then what waits in line. */
  resume(): void {
    if (this.ended) return;
    this.obstacle = undefined;
    this.retryQueue.retry();
    this.advance();
    this.environment.resumed?.();
  }

  /** Disconnected or blocked: nothing is sent, and nobody is kept waiting for a confirm. */
  suspend(reason: string): void {
    if (this.ended) return;
    this.obstacle = reason;
    for (const publication of this.inFlight)
      if (!publication.stored) this.enqueue(publication, new NotConnectedError(reason));
    this.advance();
  }

  /** Takes nothing more, and waits until everything is settled or `deadline` is aborted. Returns what is lost. */
  async close(deadline: AbortSignal): Promise<WireMessage[]> {
    this.closed = true;
    if (this.retryQueue.kind === 'memory') this.retryQueue.retry();
    this.advance();
    if (this.unsettledCount > 0 && !deadline.aborted) {
      await new Promise<void>((resolve) => {
        this.idle = resolve;
        deadline.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    this.obstacle = CLOSED;
    this.retryQueue.close();
    return this.abandon();
  }

  private accept(publication: Publication): void {
    if (this.closed) return publication.rejected(closedError());
    const verdict = this.admission.admit(publication, this.wayOf(publication));
    if (verdict === 'send' || verdict === 'queue') this.place(publication, verdict);
    else if (verdict !== 'wait') this.refuse(publication, verdict);
    else if (!this.draining) this.serve();
  }

  /** Whoever waits in line is sent or queued, in order, as far as there is room. */
  private serve(): void {
    for (const publication of this.admission.inLine) {
      const verdict = this.admission.turnOf(publication, this.wayOf(publication), this.draining);
      if (verdict === 'wait') return;
      this.place(publication, verdict);
    }
  }

  private place(publication: Publication, way: 'send' | 'queue'): void {
    if (way === 'send') this.send(publication);
    else this.enqueue(publication, whyQueued(publication, this.obstacle));
  }

  /** What is under way will make room. */
  private get draining(): boolean {
    return !this.obstacle && this.inFlight.size > 0;
  }

  /** What could be done with the publication now, if there is room. */
  private wayOf({ key, policy }: Publication): Way {
    if (this.obstacle !== undefined || policy.holdUntil !== undefined || this.retryQueue.holds(key)) return 'queue';
    return this.inFlight.size < this.options.maxInFlight ? 'send' : 'wait';
  }

  /** Hands a publication to the queue, which tells whether it could take it: at once, or when it is on the disk. */
  private enqueue(publication: Publication, error: MessagingError, failures = NOT_TRIED): void {
    this.bounds.leave(publication);
    if (publication.keptElsewhere) return this.refuse(publication, error);
    this.retryQueue.add(publication, failures);
    const { events } = this.environment;
    if (events.has('queued')) events.emit('queued', { id: publication.message.id, to: { ...publication.to }, error });
  }

  private accepted(publication: Publication, { seq }: StoredMessage): void {
    publication.accepted(new QueuedReceipt(publication.message.id, this.retryQueue.kind, seq, this.settlements));
    this.admission.release(publication);
  }

  private notAccepted(publication: Publication, error: MessagingError): void {
    // A copy is under way: the result of that decides.
    if (publication.inFlight && !this.ended) this.bounds.enter(publication);
    else this.refuse(publication, error);
    this.advance();
  }

  private send(publication: Publication): void {
    publication.inFlight = true;
    if (publication.stored) publication.trace = this.environment.telemetry?.resend(publication);
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
    this.environment.telemetry?.sent(publication.to, 'error' in result ? result.error : undefined);
    switch (result.status) {
      case 'confirmed':
        this.succeed(publication);
        break;
      case 'unroutable':
        this.returned(publication, result.error);
        break;
      case 'refused':
        this.giveUp(publication, result.error, 'unsendable');
        break;
      case 'failed':
        this.failed(publication, result.error, result.nacked === true || result.missing === true);
    }
    this.advance();
  }

  private succeed(publication: Publication): void {
    const { stored, queued, to, message } = publication;
    if (stored && !this.nacked.isEmpty) this.nacked.confirmed(to);
    this.leave(publication);
    publication.confirmed();
    if (stored && queued) this.settlements.settle(stored.seq, { id: message.id, outcome: 'confirmed' });
    const { events } = this.environment;
    if (events.has('published'))
      events.emit('published', { id: message.id, to: { ...to }, bytes: message.body.length });
  }

  private returned(publication: Publication, error: MessagingError): void {
    const { events } = this.environment;
    if (events.has('returned')) events.emit('returned', { id: publication.message.id, to: { ...publication.to } });
    const { stored, unroutable } = publication;
    if (unroutable === 'ignore') return this.succeed(publication);
    const returns = (stored?.returns ?? 0) + Number(stored !== undefined);
    if (stored && stored.dueAt > 0) this.undeliverable.add(stored.seq);
    // After an outage the publishing connection can be back before consumers, perhaps of another process, have bound.
    if (unroutable === 'queue' || (stored && returns < MAX_RETURNS))
      this.keep(publication, error, { attempts: stored?.attempts ?? 0, returns, nacked: false });
    else this.giveUp(publication, explained(error, publication.to, this.environment.bindings), 'unsendable');
  }

  /** A send failed for a passing reason. An attempt is counted where that matters, and not without a connection. */
  private failed(publication: Publication, error: MessagingError, nacked: boolean): void {
    const { stored, policy } = publication;
    const { maxAttempts, backoff } = stored ?? policy;
    if (nacked) this.nacked.nacked(publication.to, error.message);
    const counts = nacked || maxAttempts !== undefined || backoff !== undefined;
    const attempts =
      (stored?.attempts ?? 0) + Number(counts && !this.obstacle && !(error instanceof NotConnectedError));
    if (maxAttempts !== undefined && attempts >= maxAttempts) this.giveUp(publication, error, 'attempts-exhausted');
    else this.keep(publication, error, { attempts, returns: stored?.returns ?? 0, nacked });
  }

  /** The publication goes to the retry queue, or keeps its place there. */
  private keep(publication: Publication, error: MessagingError, failures: Failures): void {
    publication.failed = true;
    if (publication.queued) publication.notSent(error);
    if (publication.stored) this.retryQueue.failed(publication, failures);
    else this.enqueue(publication, error, failures);
  }

  private giveUp(publication: Publication, error: MessagingError, reason: Death['reason']): void {
    const { clock, log, store, isKept } = this.environment;
    const { message, stored, queued } = publication;
    if (stored && queued) {
      this.undeliverable.delete(stored.seq);
      if (store.kind === 'memory' && reason !== 'expired' && isKept?.(stored.dedupeId)) this.retryQueue.remove(stored);
      else {
        this.retryQueue.bury(stored, { reason, error, time: clock.now() });
        log.error(`Message ${message.id} cannot be sent and went to the publisher's dead letters: ${error.message}`);
      }
      this.settlements.settle(stored.seq, { id: message.id, outcome: 'rejected', error });
    } else this.leave(publication);
    this.refuse(publication, error);
  }

  /** The caller is told that the publication will never be sent. */
  private refuse(publication: Publication, error: MessagingError): void {
    this.admission.release(publication);
    publication.rejected(error);
    const { events } = this.environment;
    if (!publication.keptElsewhere && events.has('publish-failed'))
      events.emit('publish-failed', { id: publication.message.id, to: { ...publication.to }, error });
  }

  /** The publication has its final result. */
  private leave(publication: Publication): void {
    if (publication.stored) {
      this.undeliverable.delete(publication.stored.seq);
      this.retryQueue.remove(publication.stored);
    } else this.bounds.leave(publication);
    this.admission.release(publication);
  }

  /** There may be room now: for the queue, then for what waits in line. */
  private advance(): void {
    this.retryQueue.pump();
    if (this.admission.length > 0) this.serve();
    this.flush();
    if (this.idle && this.unsettledCount === 0) this.idle();
  }

  /** Ends what has no result at the deadline; a store that outlives the process keeps what may not have arrived. */
  private abandon(): WireMessage[] {
    const { store } = this.environment;
    if (store.kind === 'disk')
      for (const publication of this.inFlight) if (!publication.stored) this.enqueue(publication, closedError());
    this.ended = true;
    const lost = new Set<WireMessage>();
    for (const { seq, message } of store.close()) {
      lost.add(message);
      this.settlements.settle(seq, { id: message.id, outcome: 'rejected', error: closedError() });
    }
    for (const publication of [...this.inFlight, ...this.admission.close()]) {
      if (!publication.queued && !publication.keptElsewhere) lost.add(publication.message);
      publication.rejected(closedError());
    }
    return [...lost];
  }
}

const closedError = (): MessagingError => new PublisherClosedError(CLOSED);
