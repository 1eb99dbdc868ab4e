import {
  type PostgresStoreOptions,
  sharedPostgresPlace,
  sharedPostgresTable,
} from '../clients/shared-postgres-table.js';
import { SqlTransactionRecords, transactionTables } from '../transaction/sql-transaction-records.js';
import type { TransactionRecordStoreFactory } from '../transaction/transaction-record.js';

/**
 * Keeps the records of transactional sends in tables that processes of several machines may share. @throws InvalidOptionError
 */
export function postgresTransactionRecords(options: PostgresStoreOptions = {}): TransactionRecordStoreFactory {
  const place = sharedPostgresPlace('postgresTransactionRecords', options);
  return {
    kind: 'postgres',
    durable: true,
    create: ({ clock, scope }) =>
      new SqlTransactionRecords(sharedPostgresTable(place, transactionTables, clock), scope),
  };
}
