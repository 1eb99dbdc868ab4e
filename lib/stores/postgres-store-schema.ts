import { checkSchema } from '../clients/postgres-address.js';
import { tableSql } from '../clients/shared-postgres-table.js';
import { coordinationTable } from '../coordination/sql-coordination-store.js';
import { deadLettersTable } from '../dead-letter/sql-dead-letter-archive.js';
import { handledTable } from '../idempotency/sql-idempotency-store.js';
import { transactionTables } from '../transaction/sql-transaction-records.js';

/**
 * The SQL that makes the tables of all stores in a schema of PostgreSQL, for migrations of your own. Without it each store
 * makes its table when it is opened, if it may. @throws InvalidOptionError
 */
export function postgresStoreSchema(schema = 'messaging'): string {
  const checked = checkSchema('postgresStoreSchema', schema);
  return [handledTable, deadLettersTable, transactionTables, coordinationTable]
    .map((table) => tableSql(checked, table))
    .join('');
}
