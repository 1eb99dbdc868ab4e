import { hasMethods, rowsOf, type TransactionAdapter } from './transaction-adapter.js';

/** A client of `pg` on which `begin` was run. */
export interface PgTransaction {
  query(text: string, values: unknown[]): Promise<unknown>;
  escapeIdentifier(text: string): string;
}

interface PgClient extends PgTransaction {
  getTransactionStatus?(): string | null;
}

export const pg: TransactionAdapter<PgClient> = {
  name: 'pg',
  wanted: 'the client of pool.connect() on which `begin` was run',
  recognizes: (value): value is PgClient =>
    hasMethods(value, 'query', 'connect', 'end') && (hasMethods(value, 'escapeIdentifier') || 'totalCount' in value),
  state: (value) => {
    if ('totalCount' in value) return 'none';
    // What the client says is of the last answer: a `begin` may be under way.
    return value.getTransactionStatus?.() === 'T' ? 'open' : 'unknown';
  },
  client: (value) => ({ query: async (text, values) => rowsOf(await value.query(text, [...values])) }),
};
