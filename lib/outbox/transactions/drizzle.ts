import { hasMethods, rowsOf, type TransactionAdapter } from './transaction-adapter.js';

/** What `db.transaction(async (tx) => …)` of Drizzle for PostgreSQL gives. */
export interface DrizzleTransaction {
  execute(query: never): unknown;
  rollback(): never;
}

interface Database {
  execute(query: unknown): PromiseLike<unknown>;
  readonly rollback?: unknown;
  readonly session?: { readonly client?: { getTransactionStatus?(): string | null } };
}

export const drizzle: TransactionAdapter<Database> = {
  name: 'Drizzle',
  wanted: 'the transaction that db.transaction() gives to its callback',
  recognizes: (value): value is Database => hasMethods(value, 'execute', 'select', 'transaction'),
  state: ({ rollback, session }) => {
    if (typeof rollback !== 'function') return 'none';
    // A finished handle is not told from another one: its connection is, while nobody else has begun something on it.
    return session?.client?.getTransactionStatus?.() === 'T' ? 'open' : 'unknown';
  },
  client: (value) => ({
    query: async (text, values) => {
      // All that Drizzle asks of its own `sql`.
      const statement = { toQuery: () => ({ sql: text, params: [...values] }) };
      return rowsOf(await value.execute({ getSQL: () => statement }));
    },
  }),
};
