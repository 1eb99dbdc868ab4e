import { hasMethods, rowsOf, type TransactionAdapter } from './transaction-adapter.js';

/** What `sequelize.transaction(async (transaction) => …)` gives. */
export interface SequelizeTransaction {
  afterCommit(callback: never): unknown;
  commit(): Promise<void>;
}

interface Known {
  readonly finished?: string;
  readonly sequelize?: { query(text: string, options: object): Promise<unknown> };
}

export const sequelize: TransactionAdapter<Known> = {
  name: 'Sequelize',
  wanted: 'the transaction that sequelize.transaction() gives to its callback',
  recognizes: (value): value is Known =>
    hasMethods(value, 'afterCommit', 'commit') || hasMethods(value, 'query', 'transaction', 'getDialect'),
  state: (value) => {
    if (!value.sequelize || !hasMethods(value, 'afterCommit')) return 'none';
    return value.finished === undefined ? 'open' : 'finished';
  },
  client: (value) => ({
    query: async (text, values) => {
      const answer = await value.sequelize!.query(text, { bind: [...values], transaction: value, logging: false });
      return rowsOf(Array.isArray(answer) ? answer[0] : answer);
    },
  }),
};
