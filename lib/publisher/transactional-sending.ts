import type { Publication } from './publication.js';
import type { PublishOptions } from './publish-options.js';
import type { Receipt } from './receipt.js';

/** What a local transaction is given. */
export interface LocalTransaction {
  /** Unique, also where two messages have one id. Store it with what you change, and `@CheckTransaction` can look for it. */
  readonly id: string;
  /** Aborted, with a TransactionTimeoutError, when the `timeout` is over. */
  readonly signal: AbortSignal;
}

/** A local transaction whose database says what became of it, as `postgresTransaction()` makes it. */
export interface ProvenTransaction {
  /**
   * Begins, runs and ends it. `prove` is called once in it, before anything is done, with what the database knows it by; when
   * that has resolved it may go on.
   */
  run(transaction: LocalTransaction, prove: (proof: string) => Promise<void>): PromiseLike<unknown>;
}

/** Runs the local transaction: that it resolves says that it has committed, unless it is one that proves itself. */
export type LocalTransactionWork = ((transaction: LocalTransaction) => unknown) | ProvenTransaction;

/** Options of `publishInTransaction`. What is committed is sent until it arrives, whenever that is. */
export interface TransactionOptions extends Omit<PublishOptions, 'attempts' | 'ordered' | 'unique'> {
  /**
   * Milliseconds that the local transaction may take. After that, and `transactions.grace`, it must have come to an end in
   * its database, whatever has become of this process. Default: the module's `transactions.timeout`.
   */
  readonly timeout?: number;
}

/** What the publisher needs for `publishInTransaction`. */
export interface TransactionalSending {
  /** The time that the local transaction may take. @throws InvalidOptionError where it could not be checked back, or an option is wrong */
  check(route: string, work: unknown, options: TransactionOptions): number;
  /** Resolves when the local transaction has committed; the message is sent or will be. */
  send(publication: Publication, work: LocalTransactionWork, timeoutMs: number): Promise<Receipt>;
}
