import { type SharedSqliteFileOptions, sharedSqlitePlace, sharedSqliteTable } from '../clients/shared-sqlite-file.js';
import { SqlTransactionRecords, transactionTables } from './sql-transaction-records.js';
import type { TransactionRecordStoreFactory } from './transaction-record.js';

export type SqliteTransactionRecordsOptions = SharedSqliteFileOptions;

/**
 * Keeps the records of transactional sends in a file that several processes of a machine may share, over restarts and power
 * failures. It needs Node 22.13, or the package `@photostructure/sqlite`. @throws InvalidOptionError
 */
export function sqliteTransactionRecords(options: SqliteTransactionRecordsOptions): TransactionRecordStoreFactory {
  const place = sharedSqlitePlace('sqliteTransactionRecords', options);
  return {
    kind: 'sqlite',
    durable: true,
    create: ({ clock, scope }) => new SqlTransactionRecords(sharedSqliteTable(place, transactionTables, clock), scope),
  };
}
