import { type MessagingError } from '../errors/messaging-error.js';
import { stringHeader, header, integerHeader } from '../message/headers.js';
import type { WireMessage } from '../message/message.js';
import type { PublishTrace } from '../pipeline/telemetry.js';
import type { BackoffSchedule } from '../retry/backoff.js';
import type { Destination, Outgoing } from '../transport/outgoing.js';
import { rejection } from './caller-stack.js';
import type { UnroutablePolicy } from './publish-options.js';
import { ConfirmedReceipt, type Receipt } from './receipt.js';
import type { StoredMessage } from './retry-queue-store.js';

/** How one message is treated by the publisher retry queue, where its options say so. */
export interface QueuePolicy {
  /** The message waits there until this wall-clock time before it is sent at all. */
  readonly holdUntil: number | undefined;
  readonly priority: number;
  readonly maxAttempts: number | undefined;
  readonly backoff: BackoffSchedule | undefined;
}

const NO_POLICY: QueuePolicy = Object.freeze({
  holdUntil: undefined,
  priority: 0,
  maxAttempts: undefined,
  backoff: undefined,
});

/** One publish from the call to its final result, or one send out of the retry queue: what is sent, and where it stands. */
export class Publication implements Outgoing {
  readonly to: Destination;
  readonly message: WireMessage;
  /** What a broker knows a resend by. */
  dedupeId: string;
  readonly dueAt: number | undefined;
  readonly mandatory: boolean;
  readonly unroutable: UnroutablePolicy;
  readonly ordered: boolean;
  readonly key: string | undefined;
  readonly expiresAt: number | undefined;
  /** What the publication counts for against the bounds in bytes. */
  readonly bytes: number;
  readonly policy: QueuePolicy;

  /** A copy of the message is under way to the broker. */
  inFlight = false;
  /** The publication counts among what is under way, not among what is queued. */
  fresh = false;
  /** The publication is sent out of turn, because its predecessor has left. */
  promoted = false;
  /** A send has failed. */
  failed = false;
  /** The place in the publisher retry queue, also while the message is being written there. */
  stored: StoredMessage | undefined;
  /** The publisher retry queue has accepted the message. */
  queued = false;
  /** Somebody else keeps it until it is confirmed: it is never queued here, and a passing failure is its result. */
  keptElsewhere = false;
  /** Until the caller is told, or the resend has ended. */
  trace: PublishTrace | undefined;

  private resolve: ((receipt: Receipt | Promise<never>) => void) | undefined;

  constructor(
    to: Destination,
    message: WireMessage,
    dueAt: number | undefined,
    unroutable: UnroutablePolicy,
    ordered: boolean,
    headerBytes = 0,
    policy = NO_POLICY,
    dedupeId = message.id,
  ) {
    this.to = to;
    this.message = message;
    this.dedupeId = dedupeId;
    this.dueAt = dueAt;
    this.mandatory = unroutable !== 'ignore';
    this.unroutable = unroutable;
    this.ordered = ordered;
    this.key = stringHeader(message.headers, header.key);
    this.expiresAt = integerHeader(message.headers, header.expiresAt, 0, Number.MAX_SAFE_INTEGER);
    this.bytes = message.body.length + headerBytes + ENTRY_BYTES;
    this.policy = policy;
  }

  /** A send of what waits in the retry queue; nobody waits for its receipt. */
  static of(stored: StoredMessage): Publication {
    const { to, message, sendAt, unroutable, dedupeId } = stored;
    const publication = new Publication(to, message, sendAt, unroutable, false, 0, undefined, dedupeId);
    publication.stored = stored;
    publication.queued = true;
    return publication;
  }

  /** The promise that the caller awaits. */
  receipt(): Promise<Receipt> {
    return new Promise((resolve) => {
      this.resolve = resolve;
    });
  }

  confirmed(): void {
    this.trace?.confirmed();
    this.resolve?.(new ConfirmedReceipt(this.message.id));
    this.release();
  }

  /** The message is in the publisher retry queue; the caller need not wait any longer. */
  accepted(receipt: Receipt): void {
    this.trace?.queued();
    this.resolve?.(receipt);
    this.release();
  }

  /** The message will never be sent. */
  rejected(error: MessagingError): void {
    this.trace?.failed(error);
    this.resolve?.(rejection(error));
    this.release();
  }

  /** A resend failed; the message goes on waiting. */
  notSent(error: MessagingError): void {
    this.trace?.failed(error);
    this.trace = undefined;
  }

  private release(): void {
    this.resolve = this.trace = undefined;
  }
}

/** What one message costs beside its body and the application's headers: our headers, ids, bookkeeping. */
export const ENTRY_BYTES = 512;
