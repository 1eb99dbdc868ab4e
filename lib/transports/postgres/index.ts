export { postgres } from './postgres.js';
export type { PostgresOptions, PostgresSubscriptionOptions } from './options.js';
export { ensureSchema, postgresSchema } from './schema.js';
export { PostgresTransport, type PostgresNative } from './transport.js';
