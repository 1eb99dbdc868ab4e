import type { Clock } from '../clock/clock.js';
import type { TransactionOutcome } from './transaction-in-doubt.js';

/** A database that says by itself what became of a transaction. */
export interface CommitStatus {
  /** Resolves when what was proven so far stays told from all that comes, also where the database crashes. */
  keep(): Promise<void>;
  /** What became of the transaction with this proof; `reason`: why it cannot be said. May reject: the same as `unknown`. */
  ask(proof: string): Promise<{ readonly outcome: TransactionOutcome; readonly reason?: string }>;
  close(): Promise<void>;
}

/** What `postgresCommitStatus({ … })` returns: options, checked. */
export interface CommitStatusFactory {
  readonly kind: string;
  /** How a local transaction is wrapped that proves itself, as code: for errors. */
  readonly wrapper: string;
  /** Whose local transactions prove themselves: they need no `@CheckTransaction`. */
  readonly routes: readonly string[];
  create(environment: { readonly clock: Clock }): CommitStatus;
}
