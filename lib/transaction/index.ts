export { type CheckDecorator, CheckTransaction, type CheckTransactionOptions } from './check-transaction.decorator.js';
export { type CommitStatus, type CommitStatusFactory } from './commit-status.js';
export { memoryTransactionRecords } from './memory-transaction-records.js';
export { sqliteTransactionRecords, type SqliteTransactionRecordsOptions } from './sqlite-transaction-records.js';
export { type TransactionInDoubt, type TransactionOutcome } from './transaction-in-doubt.js';
export { type TransactionsOptions } from './transaction-options.js';
export {
  type NewTransactionRecord,
  type RecordOwner,
  type TransactionNote,
  type TransactionRecord,
  type TransactionRecordStore,
  type TransactionRecordStoreEnvironment,
  type TransactionRecordStoreFactory,
  type TransactionState,
} from './transaction-record.js';
export { type PendingTransaction, Transactions, type TransactionsHealth } from './transactions.js';
export {
  type LocalTransaction,
  type LocalTransactionWork,
  type ProvenTransaction,
  type TransactionOptions,
} from '../publisher/transactional-sending.js';
export {
  TransactionRecordError,
  TransactionTimeoutError,
  TransactionUnknownError,
} from '../errors/transaction-errors.js';
