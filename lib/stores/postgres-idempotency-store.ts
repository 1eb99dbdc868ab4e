import {
  type PostgresStoreOptions,
  sharedPostgresPlace,
  sharedPostgresTable,
} from '../clients/shared-postgres-table.js';
import type { IdempotencyStoreFactory } from '../idempotency/idempotency-store.js';
import { handledTable, SqlIdempotencyStore } from '../idempotency/sql-idempotency-store.js';

/**
 * Recognises duplicates in all processes of all machines that share the schema, over restarts. The clock that counts is the
 * server's. @throws InvalidOptionError
 */
export function postgresIdempotencyStore(options: PostgresStoreOptions = {}): IdempotencyStoreFactory {
  const place = sharedPostgresPlace('postgresIdempotencyStore', options);
  return {
    kind: 'postgres',
    create: ({ clock }) => new SqlIdempotencyStore(sharedPostgresTable(place, handledTable, clock)),
  };
}
