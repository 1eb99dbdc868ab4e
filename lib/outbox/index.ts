export { type PostgresClientOptions } from '../clients/postgres-address.js';
export { type SqlClient, type SqlParameter, type SqlRecord } from '../clients/sql-client.js';
export { NotInTransactionError, TransactionRolledBackError } from '../errors/outbox-errors.js';
export { type Inbox, type InboxOptions } from './inbox.js';
export { type OutboxHealth } from './outbox-health.js';
export { type OutboxOptions } from './outbox-options.js';
export { type OutboxPlace, outboxSchema } from './outbox-schema.js';
export { Outbox, type OutboxMessageOptions, type OutboxReceipt, type ParkedMessage } from './outbox.js';
export {
  getOutboxToken,
  InjectOutbox,
  type OutboxAsyncOptions,
  OutboxModule,
  type OutboxRegistration,
} from './outbox.module.js';
export { postgresCommitStatus, type PostgresCommitStatusOptions } from './postgres-commit-status.js';
export { postgresTransaction } from './postgres-transaction.js';
export { sqlTransaction, type SqlTransaction } from './transactions/sql-transaction.js';
export {
  type HostedTransaction,
  type MikroOrmTransaction,
  type OutboxTransaction,
} from './transactions/transaction.js';
export { type DrizzleTransaction } from './transactions/drizzle.js';
export { type KnexTransaction } from './transactions/knex.js';
export { type KyselyTransaction } from './transactions/kysely.js';
export { type PgTransaction } from './transactions/pg.js';
export { type PrismaTransaction } from './transactions/prisma.js';
export { type SequelizeTransaction } from './transactions/sequelize.js';
export { type TypeOrmTransaction } from './transactions/typeorm.js';
