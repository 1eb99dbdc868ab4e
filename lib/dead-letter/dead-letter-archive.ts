import type { Clock } from '../clock/clock.js';
import type { WireMessage } from '../message/message.js';

/** A dead letter on its way into an archive. */
export interface DeadLetterEntry {
  /** Two entries of one key are one dead letter that was brought twice. */
  readonly key: string;
  readonly deadLetterQueue: string;
  readonly message: WireMessage;
}

export interface ArchivedEntry extends DeadLetterEntry {
  /** The place of the entry, from 1. */
  readonly seq: number;
  /** Milliseconds since the epoch. */
  readonly archivedAt: number;
  /** The message is sent back to its queue, soon. */
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
  /** True: the entries with the flag that are neither claimed nor put off. */
  readonly due?: true;
}

/**
 * Keeps dead letters until they are sent again or deleted. Every method may reject; then nothing is known, and the dead
 * letter stays where it was. The contract is `deadLetterArchiveContract` of `nestjs-messaging/testing`.
 */
export interface DeadLetterArchive {
  /** Checks at boot that the archive can be used. @throws what waiting cannot cure */
  open?(): Promise<void>;
  /**
   * Keeps all entries, or none. One whose key is there is left as it is, flag and claim, too. Once this has resolved,
   * they survive what the archive is there to survive.
   */
  add(entries: readonly DeadLetterEntry[]): Promise<void>;
  /** The entries behind a place (0: from the first) in their order, at most `limit`. */
  page(query: ArchiveQuery, afterSeq: number, limit: number): Promise<ArchivedEntry[]>;
  /** How many entries there are behind a place (0, the default: from the first). */
  count(query?: ArchiveQuery, afterSeq?: number): Promise<number>;
  /** The place of the last entry; what comes later is behind it. 0: nothing has come yet. */
  lastSeq(): Promise<number>;
  /** Sets or takes away the flag. @returns how many of the entries are there */
  allowRetry(keys: readonly string[], allow: boolean): Promise<number>;
  /**
   * Takes entries to send them, flagged or not, or goes on having them: the lease ends in `leaseMs` from now. Of many
   * that ask at once, one gets each. @returns the keys of those that the token has
   */
  claim(keys: readonly string[], token: string, leaseMs: number): Promise<string[]>;
  /** Gives up unsent entries: anybody can claim them; due again after `waitMs`. Another's stay. @returns how many */
  release(keys: readonly string[], token: string, waitMs: number): Promise<number>;
  /** Deletes for good: with a token (they were sent) the entries it has, else those nobody has. @returns how many */
  delete(keys: readonly string[], token?: string): Promise<number>;
  /** Calling `close` again is harmless. */
  close(): Promise<void>;
}

/** What `memoryDeadLetterArchive()` and `sqliteDeadLetterArchive({ … })` return: options, checked. */
export interface DeadLetterArchiveFactory {
  readonly kind: string;
  /** What the archive keeps survives the process. */
  readonly durable: boolean;
  create(environment: { readonly clock: Clock }): DeadLetterArchive;
}
