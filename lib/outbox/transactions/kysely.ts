import { hasMethods, rowsOf, type TransactionAdapter } from './transaction-adapter.js';

/** What `db.transaction().execute(async (trx) => …)` of Kysely gives. */
export interface KyselyTransaction {
  executeQuery(query: never): Promise<unknown>;
  readonly isTransaction: boolean;
}

interface Database {
  executeQuery(query: unknown): Promise<unknown>;
  readonly isTransaction: boolean;
  readonly isCommitted?: boolean;
  readonly isRolledBack?: boolean;
}

export const kysely: TransactionAdapter<Database> = {
  name: 'Kysely',
  wanted: 'the transaction that db.transaction().execute() gives to its callback',
  recognizes: (value): value is Database =>
    hasMethods(value, 'executeQuery', 'selectFrom') && typeof (value as Database).isTransaction === 'boolean',
  state: ({ isTransaction, isCommitted, isRolledBack }) => {
    if (!isTransaction) return 'none';
    return isCommitted === true || isRolledBack === true ? 'finished' : 'open';
  },
  client: (value) => ({
    query: async (text, values) => {
      // What `CompiledQuery.raw` makes.
      const query = { kind: 'RawNode', sqlFragments: [text], parameters: [] };
      const compiled = { sql: text, parameters: [...values], query, queryId: { queryId: 'outbox' } };
      return rowsOf(await value.executeQuery(compiled));
    },
  }),
};
