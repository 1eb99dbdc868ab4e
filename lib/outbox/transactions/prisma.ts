import { hasMethods, rowsOf, type TransactionAdapter } from './transaction-adapter.js';

/** The client that `prisma.$transaction(async (tx) => …)` gives. */
export interface PrismaTransaction {
  $queryRawUnsafe(text: string, ...values: unknown[]): PromiseLike<unknown>;
}

export const prisma: TransactionAdapter<PrismaTransaction> = {
  name: 'Prisma',
  wanted: 'the client that prisma.$transaction() gives to its callback',
  recognizes: (value): value is PrismaTransaction => hasMethods(value, '$queryRawUnsafe'),
  state: (value) => (hasMethods(value, '$connect') ? 'none' : 'open'),
  client: (value) => ({ query: async (text, values) => rowsOf(await value.$queryRawUnsafe(text, ...values)) }),
};
