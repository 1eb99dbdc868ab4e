import {
  type PostgresStoreOptions,
  sharedPostgresPlace,
  sharedPostgresTable,
} from '../clients/shared-postgres-table.js';
import type { CoordinationStoreFactory } from '../coordination/coordination-store.js';
import { coordinationTable, SqlCoordinationStore } from '../coordination/sql-coordination-store.js';
import { indexable } from './postgres-idempotency-store.js';

/**
 * Coordinates all processes of all machines that share the schema. The clock that counts is the server's.
 * @throws InvalidOptionError
 */
export function postgresCoordinationStore(options: PostgresStoreOptions = {}): CoordinationStoreFactory {
  const place = sharedPostgresPlace('postgresCoordinationStore', options);
  return {
    kind: 'postgres',
    create: ({ clock }) => new SqlCoordinationStore(sharedPostgresTable(place, coordinationTable, clock), indexable),
  };
}
