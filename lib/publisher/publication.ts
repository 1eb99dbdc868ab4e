import { type MessagingError } from '../errors/messaging-error.js';
import { stringHeader, header, integerHeader } from '../message/headers.js';
import type { WireMessage } from '../message/message.js';
import type { Destination, Outgoing } from '../transport/outgoing.js';
import type { UnroutablePolicy } from './publish-options.js';
import { ConfirmedReceipt, QueuedReceipt, type Receipt, type Settlement } from './receipt.js';

/** One publish from the call to its final result: what is sent, who waits for it, and where it stands. */
export class Publication implements Outgoing {
  readonly to: Destination;
  readonly message: WireMessage;
  readonly dedupeId: string;
  readonly dueAt: number | undefined;
  readonly mandatory: boolean;
  readonly unroutable: UnroutablePolicy;
  readonly ordered: boolean;
  readonly key: string | undefined;
  readonly expiresAt: number | undefined;
  /** What it counts for against the bounds in bytes. */
  readonly bytes: number;

  /** A copy of it is under way to the broker. */
  inFlight = false;
  /** It counts among what is under way, not among what is queued. */
  fresh = false;
  /** How often it was sent from the retry queue and no queue took it. */
  returns = 0;
  /** It waits in the publisher retry queue since this time. */
  queuedAt: number | undefined;

  private resolve: ((receipt: Receipt) => void) | undefined;
  private reject: ((error: MessagingError) => void) | undefined;
  private finish: ((settlement: Settlement) => void) | undefined;

  constructor(
    to: Destination,
    message: WireMessage,
    dueAt: number | undefined,
    unroutable: UnroutablePolicy,
    ordered: boolean,
    headerBytes = 0,
  ) {
    this.to = to;
    this.message = message;
    this.dedupeId = message.id;
    this.dueAt = dueAt;
    this.mandatory = unroutable !== 'ignore';
    this.unroutable = unroutable;
    this.ordered = ordered;
    this.key = stringHeader(message.headers, header.key);
    this.expiresAt = integerHeader(message.headers, header.expiresAt, 0, Number.MAX_SAFE_INTEGER);
    this.bytes = message.body.length + headerBytes + ENTRY_BYTES;
  }

  /** The promise its caller awaits. */
  receipt(): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  confirmed(): void {
    this.resolve?.(new ConfirmedReceipt(this.message.id));
    this.finish?.({ id: this.message.id, outcome: 'confirmed' });
    this.release();
  }

  /** It is in the publisher retry queue; the caller need not wait any longer. */
  queued(stored: 'memory' | 'disk', now: number): void {
    this.queuedAt = now;
    if (!this.resolve) return;
    const settled = new Promise<Settlement>((finish) => (this.finish = finish));
    this.resolve(new QueuedReceipt(this.message.id, stored, settled));
    this.resolve = this.reject = undefined;
  }

  /** It will never be sent. */
  rejected(error: MessagingError): void {
    this.reject?.(error);
    this.finish?.({ id: this.message.id, outcome: 'rejected', error });
    this.release();
  }

  private release(): void {
    this.resolve = this.reject = this.finish = undefined;
  }
}

/** What one message costs beside its body and the application's headers: our headers, ids, bookkeeping. */
const ENTRY_BYTES = 512;
