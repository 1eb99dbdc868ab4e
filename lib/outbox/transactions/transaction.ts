import type { SqlClient } from '../../clients/sql-client.js';
import { InvalidOptionError } from '../../errors/configuration-errors.js';
import { NotInTransactionError } from '../../errors/outbox-errors.js';
import { drizzle, type DrizzleTransaction } from './drizzle.js';
import { knex, type KnexTransaction } from './knex.js';
import { kysely, type KyselyTransaction } from './kysely.js';
import { pg, type PgTransaction } from './pg.js';
import { prisma, type PrismaTransaction } from './prisma.js';
import { sequelize, type SequelizeTransaction } from './sequelize.js';
import { other, type SqlTransaction } from './sql-transaction.js';
import { hasMethods, type TransactionAdapter } from './transaction-adapter.js';
import { typeorm, type TypeOrmTransaction } from './typeorm.js';

/** The `EntityManager` that `em.transactional()` of MikroORM gives, for PostgreSQL. */
export interface MikroOrmTransaction {
  isInTransaction(): boolean;
  getTransactionContext(): unknown;
}

/** The `TransactionHost` of `@nestjs-cls/transactional`. */
export interface HostedTransaction {
  isTransactionActive(): boolean;
  readonly tx: unknown;
}

/** What can be passed as the transaction, as the libraries give it. Others: `sqlTransaction()`. */
export type OutboxTransaction =
  | PgTransaction
  | TypeOrmTransaction
  | PrismaTransaction
  | DrizzleTransaction
  | KnexTransaction
  | MikroOrmTransaction
  | KyselyTransaction
  | SequelizeTransaction
  | HostedTransaction
  | SqlTransaction;

/** The first that recognises an object decides. */
const adapters = [
  other,
  typeorm,
  prisma,
  kysely,
  drizzle,
  knex,
  sequelize,
  pg,
] as readonly TransactionAdapter<object>[];

/** Fails outside of a transaction only, and leaves nothing behind inside. */
const PROBE = ['savepoint nestjs_messaging_outbox', 'release savepoint nestjs_messaging_outbox'];
/** There is no transaction. */
const NO_TRANSACTION = '25P01';

/**
 * Statements in the caller's transaction; a promise only where the server has to be asked whether there is one.
 * @throws InvalidOptionError for what is no transaction of a library that is known, NotInTransactionError for a client
 * outside of one, and one that has ended
 */
export function clientOf(given: unknown): SqlClient | Promise<SqlClient> {
  const value = unwrapped(given);
  const adapter = adapters.find((one) => one.recognizes(value));
  if (!adapter)
    throw new InvalidOptionError(
      'tx',
      given,
      `a transaction of PostgreSQL: ${adapters
        .slice(1)
        .map(({ name, wanted }) => `${wanted} (${name})`)
        .join(', ')}; or sqlTransaction({ query })`,
    );
  const { name, wanted } = adapter;
  const state = adapter.state(value);
  if (state === 'none') throw new NotInTransactionError(`This is no transaction of ${name}: pass ${wanted}`);
  if (state === 'finished') throw new NotInTransactionError(`This transaction of ${name} has ended`);
  const client = adapter.client(value);
  return state === 'open' ? client : proven(client, `There is no transaction on this client: pass ${wanted}`);
}

/** What stands for a transaction of another library. */
function unwrapped(given: unknown): object {
  if ((typeof given !== 'object' && typeof given !== 'function') || given === null)
    throw new InvalidOptionError('tx', given, 'the transaction of a database client');
  if (hasMethods(given, 'isTransactionActive') && 'tx' in given) {
    const host = given as HostedTransaction;
    if (!host.isTransactionActive())
      throw new NotInTransactionError(
        'No transaction of @nestjs-cls/transactional is active: call it within one, as in a method with @Transactional()',
      );
    return unwrapped(host.tx);
  }
  if (hasMethods(given, 'isInTransaction', 'getTransactionContext')) {
    const manager = given as MikroOrmTransaction;
    if (!manager.isInTransaction())
      throw new NotInTransactionError(
        'This is no transaction of MikroORM: pass the EntityManager that em.transactional() gives to its callback',
      );
    return unwrapped(manager.getTransactionContext());
  }
  return given;
}

async function proven(client: SqlClient, message: string): Promise<SqlClient> {
  try {
    for (const statement of PROBE) await client.query(statement, []);
    return client;
  } catch (error) {
    throw sqlState(error) === NO_TRANSACTION ? new NotInTransactionError(message) : error;
  }
}

/** Where the libraries keep it. */
function sqlState(error: unknown): unknown {
  const { code, cause, original } = error as {
    code?: unknown;
    cause?: { code?: unknown };
    original?: { code?: unknown };
  };
  return cause?.code ?? original?.code ?? code;
}
