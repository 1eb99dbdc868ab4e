import type { SqlClient } from '../../clients/sql-client.js';
import { InvalidOptionError } from '../../errors/configuration-errors.js';
import type { TransactionAdapter } from './transaction-adapter.js';

const CLIENT = Symbol('nestjs-messaging:sql-transaction');

/** A transaction of a library that is not known here. */
export interface SqlTransaction {
  readonly [CLIENT]: SqlClient;
}

/**
 * The transaction of any other client of PostgreSQL: `query` runs one statement in it and gives the rows. The server is
 * asked whether there is a transaction.
 * @throws InvalidOptionError
 */
export function sqlTransaction(client: SqlClient): SqlTransaction {
  if (typeof client?.query !== 'function')
    throw new InvalidOptionError('client', client, '{ query: (text, values) => rows }');
  return { [CLIENT]: client };
}

export const other: TransactionAdapter<SqlTransaction> = {
  name: 'sqlTransaction()',
  wanted: 'a client on which a transaction was begun',
  recognizes: (value): value is SqlTransaction => CLIENT in value,
  state: () => 'unknown',
  client: (value) => value[CLIENT],
};
