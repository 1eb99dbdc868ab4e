import { type SharedSqliteFileOptions, sharedSqlitePlace, sharedSqliteTable } from '../clients/shared-sqlite-file.js';
import type { CoordinationStoreFactory } from './coordination-store.js';
import { coordinationTable, SqlCoordinationStore } from './sql-coordination-store.js';

export type SqliteCoordinationStoreOptions = SharedSqliteFileOptions;

/**
 * Coordinates all processes that share the file, over restarts and power failures. It needs Node 22.13, or the package
 * `@photostructure/sqlite`. @throws InvalidOptionError
 */
export function sqliteCoordinationStore(options: SqliteCoordinationStoreOptions): CoordinationStoreFactory {
  const place = sharedSqlitePlace('sqliteCoordinationStore', options);
  return {
    kind: 'sqlite',
    create: ({ clock }) => new SqlCoordinationStore(sharedSqliteTable(place, coordinationTable, clock)),
  };
}
