import { createHash } from 'node:crypto';
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
    create: ({ clock }) => new SqlIdempotencyStore(sharedPostgresTable(place, handledTable, clock), indexable),
  };
}

/** An index takes no text of more than 2,704 bytes; a longer one would fail, and others of its turn with it. */
export function indexable(key: string): string {
  return key.length <= 600 ? key : `${key.slice(0, 100)}…${createHash('sha256').update(key).digest('base64url')}`;
}
