import type { DurableQueue } from '../durable-queue/durable-queue.js';
import type { QueueEntry } from '../durable-queue/queue-entry.js';
import type { InFlightMessages } from './in-flight-messages.js';

/** A pass that is older begins again when something newer is due: so long a lower priority can be before a higher one. */
const RENEW_MS = 50;
/** Expired messages that are under way are looked at again after this time. */
const EXPIRY_PAUSE_MS = 1_000;
export const EXPIRY_BATCH = 256;

/** One queue on its way out: which of its messages is next, and when there is something to do. */
export class QueueLine {
  inFlight = 0;
  private pass: Iterator<QueueEntry> | undefined;
  private passUntil = 0;
  /** Something may be due that the pass under way does not show. */
  private stale = true;
  /** When the next message falls due that is not due yet; the store has to be asked while that is not known. */
  private nextDue = Infinity;
  private nextDueKnown = false;
  private nextExpiry: number | undefined;

  constructor(
    readonly name: string,
    private readonly queue: DurableQueue,
    private readonly flights: InFlightMessages,
  ) {
    this.nextExpiry = queue.nextExpiry(name);
  }

  /** When the queue has to be looked at again, if nothing happens until then. */
  get wakeAt(): number {
    return this.stale ? 0 : Math.min(this.nextDue, this.expiryAt);
  }

  get expiryAt(): number {
    return this.nextExpiry ?? Infinity;
  }

  /** Nothing is read, and nothing is known to be due: what comes now may go first. */
  get isIdle(): boolean {
    return !this.pass && !this.stale;
  }

  /** A message was written, or waits again. */
  expect(dueAt: number, expiresAt: number | undefined, now: number): void {
    if (dueAt <= now) this.stale = true;
    else this.nextDue = Math.min(this.nextDue, dueAt);
    if (expiresAt !== undefined) this.nextExpiry = Math.min(this.nextExpiry ?? Infinity, expiresAt);
  }

  /** Messages came from elsewhere, or are back: everything is looked at anew. */
  renew(): void {
    this.endPass();
    this.stale = true;
    this.nextDueKnown = false;
    this.nextExpiry = this.queue.nextExpiry(this.name);
  }

  /** The next message to be sent. */
  next(now: number): QueueEntry | undefined {
    if (this.nextDue <= now) this.stale = true;
    if (this.stale && this.pass && now - this.passUntil >= RENEW_MS) this.endPass();
    for (;;) {
      if (!this.pass && !this.stale) return undefined;
      const step = (this.pass ??= this.begin(now)).next();
      if (step.done) this.pass = undefined;
      else if (!this.flights.has(step.value.seq)) return step.value;
    }
  }

  /** Messages whose time to live has ended and that are not under way: `EXPIRY_BATCH` at a time, or somewhat more. */
  expired(now: number): QueueEntry[] {
    if (this.nextExpiry === undefined || this.nextExpiry > now) return [];
    const limit = EXPIRY_BATCH + this.inFlight;
    const found = this.queue.expired(this.name, now, limit);
    if (found.length < limit)
      this.nextExpiry = found.length > 0 ? now + EXPIRY_PAUSE_MS : this.queue.nextExpiry(this.name);
    return found.filter(({ seq }) => !this.flights.has(seq));
  }

  close(): void {
    this.endPass();
  }

  private begin(now: number): Iterator<QueueEntry> {
    this.stale = false;
    this.passUntil = now;
    if (!this.nextDueKnown || this.nextDue <= now) {
      this.nextDue = this.queue.nextDueAt(this.name, now) ?? Infinity;
      this.nextDueKnown = true;
    }
    return this.queue.ready(this.name, { dueUntil: now });
  }

  private endPass(): void {
    this.pass?.return?.();
    this.pass = undefined;
  }
}
