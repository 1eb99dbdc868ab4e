import { hasMethods, positional, rowsOf, type TransactionAdapter } from './transaction-adapter.js';

/** What `knex.transaction(async (trx) => …)` gives. */
export interface KnexTransaction {
  raw(text: string, values: never): PromiseLike<unknown>;
  isCompleted(): boolean;
}

interface Database {
  raw(text: string, values: readonly unknown[]): PromiseLike<unknown>;
  readonly isTransaction?: boolean;
  isCompleted?(): boolean;
}

export const knex: TransactionAdapter<Database> = {
  name: 'Knex',
  wanted: 'the transaction that knex.transaction() gives to its callback',
  recognizes: (value): value is Database => hasMethods(value, 'raw') && 'client' in value,
  state: (value) => {
    if (value.isTransaction !== true) return 'none';
    return value.isCompleted?.() ? 'finished' : 'open';
  },
  client: (value) => ({
    query: async (given, parameters) => {
      const { text, values } = positional(given, parameters);
      return rowsOf(await value.raw(text, values));
    },
  }),
};
