import { type SharedSqliteFileOptions, sharedSqlitePlace, sharedSqliteTable } from '../clients/shared-sqlite-file.js';
import type { IdempotencyStoreFactory } from './idempotency-store.js';
import { handledTable, SqlIdempotencyStore } from './sql-idempotency-store.js';

export type SqliteIdempotencyStoreOptions = SharedSqliteFileOptions;

/**
 * Recognises duplicates in all processes that share the file, over restarts and power failures. It needs Node 22.13, or the
 * package `@photostructure/sqlite`. @throws InvalidOptionError
 */
export function sqliteIdempotencyStore(options: SqliteIdempotencyStoreOptions): IdempotencyStoreFactory {
  const place = sharedSqlitePlace('sqliteIdempotencyStore', options);
  return {
    kind: 'sqlite',
    create: ({ clock }) => new SqlIdempotencyStore(sharedSqliteTable(place, handledTable, clock)),
  };
}
