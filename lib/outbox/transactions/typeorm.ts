import { hasMethods, rowsOf, type TransactionAdapter } from './transaction-adapter.js';

/** The `EntityManager` that `dataSource.transaction()` gives, or a `QueryRunner` whose transaction was started. */
export interface TypeOrmTransaction {
  query(text: string, values?: unknown[]): Promise<unknown>;
  readonly isTransactionActive?: boolean;
  readonly queryRunner?: { readonly isTransactionActive: boolean };
}

interface Known extends TypeOrmTransaction {
  readonly isReleased?: boolean;
}

export const typeorm: TransactionAdapter<Known> = {
  name: 'TypeORM',
  wanted: 'the manager that dataSource.transaction() gives to its callback',
  recognizes: (value): value is Known =>
    hasMethods(value, 'query') &&
    (hasMethods(value, 'getRepository') || typeof (value as Known).isTransactionActive === 'boolean'),
  state: ({ isTransactionActive, queryRunner }) => {
    if (queryRunner === undefined && isTransactionActive === undefined) return 'none';
    return (isTransactionActive ?? queryRunner?.isTransactionActive) ? 'open' : 'finished';
  },
  client: (value) => ({ query: async (text, values) => rowsOf(await value.query(text, [...values])) }),
};
