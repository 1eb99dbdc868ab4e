import { InvalidOptionError } from '../errors/configuration-errors.js';
import { integerBetween, knownKeys, numberBetween } from '../errors/option-checks.js';
import type { Backoff } from '../retry/backoff.js';
import type { CommitStatusFactory } from './commit-status.js';
import { DEFAULT_BACKOFF } from './pauses.js';
import type { TransactionRecordStoreFactory } from './transaction-record.js';

/** How transactional sends are kept and checked back. */
export interface TransactionsOptions {
  /** Where their records are: `sqliteTransactionRecords({ file })`. */
  readonly store: TransactionRecordStoreFactory;
  /** Where the database of local transactions says itself what became of them: `postgresCommitStatus({ url, routes })`. */
  readonly commitStatus?: CommitStatusFactory;
  /** Milliseconds that a local transaction may take, where it is not said with it. Default 30,000. */
  readonly timeout?: number;
  /** Milliseconds beyond the timeout before it is asked what became of it. Default 5,000. */
  readonly grace?: number;
  /** Milliseconds without a sign of life after which a process counts as dead, and its records are taken over. Default 15,000. */
  readonly lease?: number;
  /** How often a transaction is asked about without an answer before it is parked. Default 15. */
  readonly checks?: number;
  /**
   * The wait after such a check, and after a send or a call of the store that failed; `false` is ten minutes. One that throws
   * or gives no number is told once in the log, and the default taken: exponential from 1 s to 10 min, doubling.
   */
  readonly backoff?: Backoff;
}

export type ResolvedTransactionsOptions = Required<Omit<TransactionsOptions, 'commitStatus'>> &
  Pick<TransactionsOptions, 'commitStatus'>;

const LONGEST = 2 ** 31 - 1;

/** @throws InvalidOptionError */
export function resolveTransactions(options: TransactionsOptions): ResolvedTransactionsOptions {
  knownKeys('transactions', options, ['store', 'commitStatus', 'timeout', 'grace', 'lease', 'checks', 'backoff']);
  const { store, commitStatus, backoff = DEFAULT_BACKOFF } = options;
  if (typeof store !== 'object' || store === null || typeof store.create !== 'function')
    throw new InvalidOptionError('transactions.store', store, 'sqliteTransactionRecords({ file }) or another store');
  if (commitStatus !== undefined && typeof commitStatus?.create !== 'function')
    throw new InvalidOptionError('transactions.commitStatus', commitStatus, 'what a database gives, with its routes');
  if (typeof backoff !== 'function')
    throw new InvalidOptionError('transactions.backoff', backoff, 'exponential({…}), fixed(ms) or a function');
  return {
    store,
    commitStatus,
    timeout: checkTimeout('transactions.timeout', options.timeout ?? 30_000),
    grace: numberBetween('transactions.grace', options.grace ?? 5_000, 0, LONGEST),
    lease: numberBetween('transactions.lease', options.lease ?? 15_000, 30, LONGEST),
    checks: integerBetween('transactions.checks', options.checks ?? 15, 1, Number.MAX_SAFE_INTEGER),
    backoff,
  };
}

/** @throws InvalidOptionError */
export function checkTimeout(option: string, value: unknown): number {
  return Math.ceil(numberBetween(option, value, 1, LONGEST));
}
