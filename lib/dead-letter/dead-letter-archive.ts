import type { Clock } from '../clock/clock.js';
import type { WireMessage } from '../message/message.js';

/** A dead letter on its way into an archive. */
export interface ArchiveEntry {
  /** Two entries of one key are one dead letter that was brought twice. */
  readonly key: string;
  readonly deadLetterQueue: string;
  readonly message: WireMessage;
}

export interface ArchivedEntry extends ArchiveEntry {
  /** Its place, from 1. */
  readonly seq: number;
  /** Milliseconds since the epoch. */
  readonly archivedAt: number;
  /** It is sent back to its queue, soon. */
  readonly allowRetry: boolean;
}

/** What a store selects by itself. All must hold; none given means all. Times are milliseconds since the epoch. */
export interface ArchiveQuery {
  readonly ids?: readonly string[];
  readonly queues?: readonly string[];
  readonly reason?: string;
  /** Given up before this time. */
  readonly before?: number;
  /** Given up after this time. */
  readonly after?: number;
}

/**
 * Keeps dead letters until they are sent again or deleted. Every method may reject; then nothing is known, and the dead
 * letter stays where it was. The contract is `deadLetterArchiveContract` of `nestjs-messaging/testing`.
 */
export interface DeadLetterArchive {
  /** Checks at boot that the archive can be used. @throws what waiting cannot cure */
  open?(): Promise<void>;
  /**
   * Keeps all of them, or none. One whose key is there is left as it is, its flag and claim, too. Once this has resolved,
   * they survive what the archive is there to survive.
   */
  add(entries: readonly ArchiveEntry[]): Promise<void>;
  /** Those behind a place (0: from the first) in their order, at most `limit`. */
  page(query: ArchiveQuery, afterSeq: number, limit: number): Promise<ArchivedEntry[]>;
  count(): Promise<number>;
  /** Sets or takes away the flag. @returns how many of them are there */
  allowRetry(keys: readonly string[], allow: boolean): Promise<number>;
  /** Takes at most `limit` of those with the flag that nobody has: of many that ask at once, one gets each. */
  claim(token: string, leaseMs: number, limit: number): Promise<ArchivedEntry[]>;
  /** The lease of all that the token has ends in `leaseMs` from now. */
  renew(token: string, leaseMs: number): Promise<void>;
  /** It was sent: it goes. False, and without effect: the claim is another's, or over and taken. */
  remove(key: string, token: string): Promise<boolean>;
  /** It was not sent: it can be claimed again after `waitMs`. False, and without effect: the claim is another's. */
  release(key: string, token: string, waitMs: number): Promise<boolean>;
  /** Deletes for good. Those that are claimed are left. @returns how many are deleted */
  delete(keys: readonly string[]): Promise<number>;
  /** Calling it again is harmless. */
  close(): Promise<void>;
}

/** What `memoryDeadLetterArchive()` and `sqliteDeadLetterArchive({ … })` return: options, checked. */
export interface DeadLetterArchiveFactory {
  readonly kind: string;
  /** What it keeps survives the process. */
  readonly durable: boolean;
  create(environment: { readonly clock: Clock }): DeadLetterArchive;
}
