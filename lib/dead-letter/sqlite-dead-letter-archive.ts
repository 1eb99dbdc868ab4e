import {
  existingSqliteTable,
  type SharedSqliteFileOptions,
  type SharedSqlitePlace,
  sharedSqlitePlace,
  sharedSqliteTable,
} from '../clients/shared-sqlite-file.js';
import type { Clock } from '../clock/clock.js';
import type { DeadLetterArchiveFactory } from './dead-letter-archive.js';
import { deadLettersTable, SqlDeadLetterArchive } from './sql-dead-letter-archive.js';

const NAME = 'sqliteDeadLetterArchive';

export type SqliteDeadLetterArchiveOptions = SharedSqliteFileOptions;

/**
 * Keeps dead letters in a file that several processes of a machine may share, over restarts and power failures. It needs
 * Node 22.13, or the package `@photostructure/sqlite`. @throws InvalidOptionError
 */
export function sqliteDeadLetterArchive(options: SqliteDeadLetterArchiveOptions): DeadLetterArchiveFactory {
  const place = sharedSqlitePlace(NAME, options);
  return { kind: 'sqlite', durable: true, create: ({ clock }) => archiveIn(place, clock) };
}

/**
 * Opens a file that is an archive already; no other is made or written to.
 * @throws DeadLetterArchiveError, InvalidOptionError, MissingPeerError
 */
export async function openArchiveFile(file: string, clock: Clock): Promise<SqlDeadLetterArchive> {
  const place = sharedSqlitePlace(NAME, { file });
  return new SqlDeadLetterArchive(await existingSqliteTable(place, deadLettersTable, clock));
}

function archiveIn(place: SharedSqlitePlace, clock: Clock): SqlDeadLetterArchive {
  return new SqlDeadLetterArchive(sharedSqliteTable(place, deadLettersTable, clock));
}
