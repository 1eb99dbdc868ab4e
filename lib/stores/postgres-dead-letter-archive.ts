import {
  type PostgresStoreOptions,
  sharedPostgresPlace,
  sharedPostgresTable,
} from '../clients/shared-postgres-table.js';
import type { DeadLetterArchiveFactory } from '../dead-letter/dead-letter-archive.js';
import { deadLettersTable, SqlDeadLetterArchive } from '../dead-letter/sql-dead-letter-archive.js';

/**
 * Keeps dead letters in a table that processes of several machines may share. @throws InvalidOptionError
 */
export function postgresDeadLetterArchive(options: PostgresStoreOptions = {}): DeadLetterArchiveFactory {
  const place = sharedPostgresPlace('postgresDeadLetterArchive', options);
  return {
    kind: 'postgres',
    durable: true,
    create: ({ clock }) => new SqlDeadLetterArchive(sharedPostgresTable(place, deadLettersTable, clock)),
  };
}
