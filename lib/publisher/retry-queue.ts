import type { CancelTimer, Clock } from '../clock/clock.js';
import type { SteadyTime } from '../clock/steady-time.js';
import type { MessagingError } from '../errors/messaging-error.js';
import { waitAfter } from '../retry/backoff.js';
import { Publication } from './publication.js';
import type { Death } from './publisher-dead-letters.js';
import type { QueuedMessage, RetryQueueStore, StoredMessage } from './retry-queue-store.js';

/** What the retry queue needs of the dispatcher. */
export interface RetryQueuePort {
  /** A message may be sent now: connected, not blocked, and the window is open. */
  canSend(): boolean;
  send(publication: Publication): void;
  /** The queue has the publication. */
  accepted(publication: Publication, stored: StoredMessage): void;
  /** The queue could not take the publication. */
  notAccepted(publication: Publication, error: MessagingError): void;
  /** The time to live of the message ended while it waited. */
  expired(publication: Publication): void;
  /** A pass is to go on: what expired made room, and what waits may be sent. */
  advance(): void;
}

/** How often a message has failed by now, and how just now. */
export interface Failures {
  readonly attempts: number;
  readonly returns: number;
  /** The broker declined the message, and may do so again: the more often it did, the longer the message waits. */
  readonly nacked: boolean;
}

export const NOT_TRIED: Failures = Object.freeze({ attempts: 0, returns: 0, nacked: false });

/** The longest wait of a message that the broker declines, where it has no backoff of its own. */
const LONGEST_NACK_WAIT_MS = 60_000;

/** So many messages are given up at once, so that the event loop gets its turn. */
const MAX_EXPIRED = 500;

/**
 * The publisher retry queue: what could not be sent for a passing reason, in order, sent again every `interval`
 * milliseconds and as soon as the connection is back; and what waits for its time.
 *
 * A pass goes through it once, in order, with as many under way as the window allows, but one per key: what fails keeps
 * its place and holds back only its own key. Empty, it costs nothing: no timer runs.
 */
export class RetryQueue {
  /** What is under way out of the store, by place. */
  private readonly taken = new Map<number, Publication>();
  /** Heads of a key whose predecessor just left: they need not wait for the next pass. */
  private next: StoredMessage[] = [];
  private pass: Iterator<StoredMessage> | undefined;
  /** The messages out of `next` that failed in this pass. */
  private readonly tried = new Set<number>();
  /** Everything that fell due until then was seen by a pass. */
  private horizon = 0;
  private cancelTimer: CancelTimer | undefined;
  private timerAt = Infinity;
  /** When the next pass through everything begins, on the monotonic clock. */
  private passAt: number | undefined;
  private closed = false;

  constructor(
    private readonly store: RetryQueueStore,
    private readonly interval: number,
    private readonly clock: Clock,
    private readonly time: SteadyTime,
    private readonly port: RetryQueuePort,
  ) {}

  get kind(): 'memory' | 'disk' {
    return this.store.kind;
  }

  get depth(): number {
    return this.store.depth;
  }

  get bytes(): number {
    return this.store.bytes;
  }

  /** Milliseconds the oldest message of those due has waited; 0 when empty. */
  get oldestAgeMs(): number {
    const now = this.time.now();
    return Math.max(0, now - (this.store.oldestQueuedAt(now) ?? now));
  }

  /** Messages of this key wait, so that a new one must not overtake them. */
  holds(key: string | undefined): boolean {
    return key !== undefined && this.store.holds(key);
  }

  /** Takes a message at the end of the queue; the port is told when it is accepted. */
  add(publication: Publication, failures: Failures): void {
    const stored = this.store.append(this.messageOf(publication, failures), (kept, error) =>
      this.appended(publication, kept, error),
    );
    if (!publication.queued) publication.stored = stored;
  }

  /** The message is sent, or wanted no more: it leaves the queue. */
  remove(stored: StoredMessage): void {
    this.left(stored, this.store.remove(stored));
  }

  /** The message is given up. */
  bury(stored: StoredMessage, death: Death): void {
    this.left(stored, this.store.bury(stored, death));
  }

  /** A send failed for a passing reason: it keeps its place until the next pass, or until its own backoff is over. */
  failed(publication: Publication, failures: Failures): void {
    const { attempts, returns } = failures;
    const { stored } = publication;
    if (!stored) return;
    this.taken.delete(stored.seq);
    if (this.pass && publication.promoted) this.tried.add(stored.seq);
    const dueAt = attempts > stored.attempts ? this.dueAfter(stored, failures) : stored.dueAt;
    if (attempts === stored.attempts && returns === stored.returns && dueAt === stored.dueAt) return;
    publication.stored = this.store.update(stored, { dueAt, attempts, returns });
    this.arm(dueAt);
  }

  /** Begins a pass through everything; `pump` carries it out. */
  retry(): void {
    if (this.store.depth === 0) return;
    this.expire();
    this.begin();
  }

  /** Goes on with the pass while the window is open. */
  pump(): void {
    while ((this.pass || this.next.length > 0) && this.port.canSend()) {
      const promoted = this.next.shift();
      const stored = promoted ?? this.advance();
      if (stored && !this.taken.has(stored.seq) && !this.tried.has(stored.seq))
        this.send(stored, promoted !== undefined);
    }
  }

  /** Messages of a process that died are in the store. */
  adopted(): void {
    if (this.closed) return;
    this.passAt ??= this.clock.monotonic() + this.interval;
    if (!this.pass && this.port.canSend()) this.retry();
    this.port.advance();
    this.rearm();
  }

  /** Takes back the messages with this id that wait for their time. */
  cancel(id: string): StoredMessage[] {
    const found = this.store.delayed(id).filter(({ seq }) => !this.taken.has(seq));
    for (const stored of found) this.remove(stored);
    return found;
  }

  close(): void {
    this.closed = true;
    this.disarm();
  }

  private messageOf(publication: Publication, failures: Failures): QueuedMessage {
    const { attempts, returns } = failures;
    const { to, message, dedupeId, unroutable, key, expiresAt, bytes, policy } = publication;
    const { holdUntil, priority, maxAttempts, backoff } = policy;
    const queuedAt = this.time.now();
    const held = holdUntil === undefined ? 0 : this.time.at(holdUntil);
    // Written out: a spread would take longer than everything else here.
    return {
      to,
      message,
      dedupeId,
      priority,
      maxAttempts,
      backoff,
      bytes,
      attempts,
      returns,
      queuedAt,
      sendAt: publication.dueAt,
      // What was put off is nobody's call any more: it stays until a queue takes it.
      unroutable: holdUntil !== undefined && unroutable === 'reject' ? 'queue' : unroutable,
      // What waits for its time holds nobody of its key back.
      key: held > queuedAt ? undefined : key,
      dueAt: attempts > 0 ? this.dueAfter({ backoff, dueAt: 0 }, failures) : held > queuedAt ? held : 0,
      expiresAt: expiresAt === undefined ? undefined : this.time.at(expiresAt),
    };
  }

  private dueAfter(
    { backoff, dueAt }: Pick<QueuedMessage, 'backoff' | 'dueAt'>,
    { attempts, nacked }: Failures,
  ): number {
    if (backoff !== undefined) return this.time.now() + waitAfter(backoff, attempts);
    if (!nacked) return dueAt;
    const { interval } = this;
    const wait = Math.min(Math.max(interval, LONGEST_NACK_WAIT_MS), interval * 2 ** Math.min(attempts - 1, 30));
    // What was declined together is tried together: one timer, and in order.
    return Math.ceil((this.time.now() + wait) / interval) * interval;
  }

  private appended(publication: Publication, stored: StoredMessage, error: MessagingError | undefined): void {
    if (error) {
      publication.stored = undefined;
      return this.port.notAccepted(publication, error);
    }
    // The publication may have failed once more while it was being written.
    publication.stored ??= stored;
    publication.queued = true;
    if (publication.inFlight) this.taken.set(stored.seq, publication);
    this.port.accepted(publication, stored);
    this.arm(stored.dueAt);
    if (stored.expiresAt !== undefined) this.wakeIn(Math.max(this.interval, stored.expiresAt - this.time.now()));
    if (publication.inFlight || publication.failed || stored.dueAt > this.horizon || !this.port.canSend()) return;
    if (!this.store.isFirst(stored)) return;
    // What the message waited for has passed while it was written.
    this.next.push(stored);
    this.port.advance();
  }

  private send(stored: StoredMessage, promoted: boolean): void {
    const publication = Publication.of(stored);
    publication.promoted = promoted;
    this.taken.set(stored.seq, publication);
    this.port.send(publication);
  }

  private left({ seq }: StoredMessage, next: StoredMessage | undefined): void {
    if (!this.taken.delete(seq)) this.next = this.next.filter((stored) => stored.seq !== seq);
    this.tried.delete(seq);
    if (next && next.dueAt > this.time.now()) this.arm(next.dueAt);
    else if (next) this.next.push(next);
    if (this.store.depth === 0) this.disarm();
  }

  private begin(dueAfter?: number): void {
    this.pass?.return?.();
    this.tried.clear();
    if (dueAfter === undefined) this.next.length = 0;
    this.horizon = this.time.now();
    this.pass = this.store.ready(this.horizon, dueAfter);
  }

  private advance(): StoredMessage | undefined {
    const step = this.pass?.next();
    if (step && !step.done) return step.value;
    this.pass = undefined;
    return undefined;
  }

  private expire(): void {
    const expired = this.store.expired(this.time.now(), this.taken.size + MAX_EXPIRED);
    for (const stored of expired) if (!this.taken.has(stored.seq)) this.port.expired(Publication.of(stored));
  }

  private tick(): void {
    this.cancelTimer = undefined;
    this.timerAt = Infinity;
    const now = this.clock.monotonic();
    const full = this.passAt !== undefined && this.passAt <= now;
    // A pass that takes longer than the interval goes on: beginning again would never reach the end of the queue.
    if (this.pass) this.expire();
    else if (full) this.retry();
    else {
      this.expire();
      this.begin(this.horizon);
    }
    if (full) this.passAt = now + this.interval;
    this.port.advance();
    this.rearm();
  }

  /** Something waits until this time; 0: for the next pass. */
  private arm(dueAt: number): void {
    if (this.closed || this.store.depth === 0) return;
    if (dueAt > 0) return this.wakeIn(dueAt - this.time.now());
    this.passAt ??= this.clock.monotonic() + this.interval;
    this.wakeAt(this.passAt);
  }

  /** Looks into the store for what comes next. */
  private rearm(): void {
    if (this.closed || this.store.depth === 0) return;
    const seen = this.store.nextDueAt(-1);
    if (seen === undefined || seen > this.horizon) this.passAt = undefined;
    else this.arm(0);
    const now = this.time.now();
    const dueAt = this.store.nextDueAt(this.horizon);
    // While a pass goes on, what falls due meanwhile comes after it.
    if (dueAt !== undefined) this.wakeIn(this.pass ? Math.max(this.interval, dueAt - now) : dueAt - now);
    const expiresAt = this.store.nextExpiry();
    if (expiresAt !== undefined) this.wakeIn(Math.max(this.interval, expiresAt - now));
  }

  private wakeIn(ms: number): void {
    this.wakeAt(this.clock.monotonic() + Math.max(0, ms));
  }

  private wakeAt(at: number): void {
    if (this.closed || this.timerAt <= at) return;
    this.cancelTimer?.();
    this.timerAt = at;
    this.cancelTimer = this.clock.after(at - this.clock.monotonic(), () => this.tick());
  }

  private disarm(): void {
    this.cancelTimer?.();
    this.cancelTimer = undefined;
    this.timerAt = Infinity;
    this.passAt = undefined;
    this.pass?.return?.();
    this.pass = undefined;
  }
}
