import { existsSync } from 'node:fs';
import {
  assertIsOurs,
  type SharedSqliteFileOptions,
  type SharedSqlitePlace,
  sharedSqlitePlace,
  sharedSqliteTable,
} from '../clients/shared-sqlite-file.js';
import { loadSqlite } from '../clients/sqlite.js';
import type { Clock } from '../clock/clock.js';
import { errorMessage } from '../errors/redact.js';
import { DeadLetterArchiveError } from './dead-letter-archive-error.js';
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
  const sqlite = await loadSqlite(NAME);
  try {
    const database = sqlite.open(place.path, { readOnly: true });
    try {
      database.exec(`PRAGMA busy_timeout = ${place.waitMs}`);
      assertIsOurs(database, deadLettersTable);
    } finally {
      database.close();
    }
  } catch (cause) {
    const why = existsSync(place.path) ? errorMessage(cause) : 'there is no such file';
    throw new DeadLetterArchiveError(
      `${place.path} cannot be used as a dead-letter archive, and was left as it is: ${why}`,
      { cause },
    );
  }
  return archiveIn(place, clock);
}

function archiveIn(place: SharedSqlitePlace, clock: Clock): SqlDeadLetterArchive {
  return new SqlDeadLetterArchive(sharedSqliteTable(place, deadLettersTable, clock));
}
