import type { CancelTimer, Clock } from '../clock/clock.js';
import { KeyLanes } from './key-lanes.js';
import type { Publication } from './publication.js';
import type { RetryQueueStore } from './retry-queue-store.js';

/** What the retry queue needs of the dispatcher. */
export interface RetryQueuePort {
  /** A message may be sent now: connected, not blocked, and the window is open. */
  canSend(): boolean;
  send(publication: Publication): void;
  /** Its time to live ended while it waited. */
  expired(publication: Publication): void;
  /** A pass is to go on: what expired made room, and what waits may be sent. */
  advance(): void;
}

/**
 * The publisher retry queue: what could not be sent for a passing reason, in order, sent again every `interval`
 * milliseconds and as soon as the connection is back.
 *
 * A pass goes through it once, in order, with as many under way as the window allows, but one per key: what fails keeps
 * its place and holds back only its own key. Empty, it costs nothing: no timer runs.
 */
export class RetryQueue {
  private readonly lanes = new KeyLanes();
  /** Heads of a key whose predecessor was just confirmed: they need not wait for the next pass. */
  private readonly next: Publication[] = [];
  private pass: Iterator<Publication> | undefined;
  private tried = new Set<Publication>();
  private cancelTimer: CancelTimer | undefined;
  private expiring = 0;
  bytes = 0;

  constructor(
    private readonly store: RetryQueueStore,
    private readonly interval: number,
    private readonly clock: Clock,
    private readonly port: RetryQueuePort,
  ) {}

  get kind(): 'memory' | 'disk' {
    return this.store.kind;
  }

  get depth(): number {
    return this.store.size;
  }

  /** Milliseconds the oldest message has waited; 0 when empty. */
  get oldestAgeMs(): number {
    for (const first of this.store) return Math.max(0, this.clock.now() - (first.queuedAt ?? this.clock.now()));
    return 0;
  }

  /** Messages of this key wait, so that a new one must not overtake them. */
  holds(key: string | undefined): boolean {
    return key !== undefined && this.lanes.has(key);
  }

  /** Accepts a message at the end of the queue and tells its caller so. */
  add(publication: Publication): void {
    this.store.add(publication);
    this.lanes.push(publication);
    this.bytes += publication.bytes;
    if (publication.expiresAt !== undefined) this.expiring++;
    publication.queued(this.store.kind, this.clock.now());
    this.arm();
  }

  /** The message is sent, or given up: it leaves the queue. */
  remove(publication: Publication): void {
    this.store.delete(publication);
    this.bytes -= publication.bytes;
    if (publication.expiresAt !== undefined) this.expiring--;
    this.tried.delete(publication);
    const head = this.lanes.remove(publication);
    if (head) this.next.push(head);
    if (this.store.size === 0) this.disarm();
  }

  /** A resend failed for a passing reason: it keeps its place until the next pass. */
  failed(publication: Publication): void {
    this.tried.add(publication);
  }

  /** Begins a pass; `pump` carries it out. */
  retry(): void {
    if (this.store.size === 0) return;
    this.expire();
    this.pass = this.store[Symbol.iterator]();
    this.tried = new Set();
    this.next.length = 0;
  }

  /** Goes on with the pass while the window is open. */
  pump(): void {
    while ((this.pass || this.next.length > 0) && this.port.canSend()) {
      const publication = this.next.shift() ?? this.advance();
      if (publication && this.isDue(publication)) this.port.send(publication);
    }
  }

  close(): void {
    this.disarm();
  }

  private advance(): Publication | undefined {
    const step = this.pass?.next();
    if (step && !step.done) return step.value;
    this.pass = undefined;
    return undefined;
  }

  private isDue(publication: Publication): boolean {
    return !publication.inFlight && !this.tried.has(publication) && this.lanes.isHead(publication);
  }

  private expire(): void {
    if (this.expiring === 0) return;
    const now = this.clock.now();
    for (const publication of this.store) {
      if (publication.expiresAt !== undefined && publication.expiresAt <= now && !publication.inFlight)
        this.port.expired(publication);
    }
  }

  private arm(): void {
    this.cancelTimer ??= this.clock.after(this.interval, () => this.tick());
  }

  private tick(): void {
    this.cancelTimer = undefined;
    // A pass that takes longer than the interval goes on: beginning again would never reach the end of the queue.
    if (this.pass) this.expire();
    else this.retry();
    this.port.advance();
    if (this.store.size > 0) this.arm();
  }

  private disarm(): void {
    this.cancelTimer?.();
    this.cancelTimer = undefined;
    this.pass = undefined;
  }
}
