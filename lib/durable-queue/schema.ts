import type { SqliteDatabase } from '../clients/sqlite.js';

/** «nmsq»: tells a file of ours from any other SQLite file. */
const APPLICATION_ID = 0x6e6d7371;
const VERSION = 1;

/*
 * ready    the first of each lane, in the order they are taken; the others of a lane are not in it, so that its cost does
 *          not grow with what waits behind
 * lanes    who is next in a lane
 * expiring what has a time to live
 * delayed  what waits for its time, by id, to be cancelled
 *
 * An entry is a row of `messages` or in a pack (see pack.ts), never both. `gone` has a bit for each entry that has left its
 * pack; what is counted is what remains. The bytes stand in a table of their own, so that a bit does not write them again.
 */
const SCHEMA = `
  CREATE TABLE messages (
    seq INTEGER PRIMARY KEY, queue TEXT NOT NULL, id TEXT NOT NULL, lane TEXT, head INTEGER NOT NULL,
    priority INTEGER NOT NULL, due_at INTEGER NOT NULL, expires_at INTEGER, queued_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL, returns INTEGER NOT NULL, bytes INTEGER NOT NULL, checksum INTEGER NOT NULL,
    meta TEXT NOT NULL, body BLOB NOT NULL);
  CREATE INDEX ready ON messages (queue, priority, due_at, seq) WHERE head = 1;
  CREATE INDEX lanes ON messages (queue, lane, seq) WHERE lane IS NOT NULL;
  CREATE INDEX expiring ON messages (queue, expires_at) WHERE expires_at IS NOT NULL;
  CREATE INDEX delayed ON messages (queue, id) WHERE due_at > 0;
  CREATE TABLE packs (
    last INTEGER PRIMARY KEY, first INTEGER NOT NULL, queue TEXT NOT NULL, queued_at INTEGER NOT NULL,
    remaining INTEGER NOT NULL, bytes INTEGER NOT NULL, gone BLOB NOT NULL);
  CREATE TABLE pack_data (last INTEGER PRIMARY KEY, data BLOB NOT NULL);
  CREATE TABLE dead (
    seq INTEGER PRIMARY KEY, queue TEXT NOT NULL, id TEXT NOT NULL, attempts INTEGER NOT NULL, bytes INTEGER NOT NULL,
    meta TEXT NOT NULL, body BLOB NOT NULL, reason TEXT NOT NULL, error_class TEXT NOT NULL, error_code TEXT NOT NULL,
    error_message TEXT NOT NULL, time INTEGER NOT NULL);
  CREATE INDEX dead_by_queue ON dead (queue, seq);
  CREATE TABLE damaged (seq INTEGER PRIMARY KEY, queue, id, lane, meta, body, checksum);
  CREATE TABLE totals (queue TEXT PRIMARY KEY, depth INTEGER NOT NULL, bytes INTEGER NOT NULL, dead INTEGER NOT NULL);
  CREATE TABLE state (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
  CREATE TABLE adoptions (file TEXT PRIMARY KEY, upto INTEGER NOT NULL);
`;

/** A file that is not one of ours, or of a later version: it must not be written to. */
export class ForeignFileError extends Error {}

/** Makes an empty file ours, and refuses what is not ours. @throws ForeignFileError */
export function prepareSchema(database: SqliteDatabase): void {
  if (isOurs(database)) return;
  database.exec(
    `BEGIN IMMEDIATE; ${SCHEMA} PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${VERSION}; COMMIT`,
  );
}

/** False: the file is empty. @throws ForeignFileError */
export function isOurs(database: SqliteDatabase): boolean {
  const version = pragma(database, 'user_version');
  const application = pragma(database, 'application_id');
  if (application === APPLICATION_ID) {
    if (version > VERSION)
      throw new ForeignFileError(
        `it was written by a later version of this package (format ${version}, known: ${VERSION})`,
      );
    return true;
  }
  const tables = database.prepare('SELECT count(*) AS count FROM sqlite_master').get()?.count;
  if (application !== 0 || version !== 0 || tables !== 0)
    throw new ForeignFileError('it is a database of another application');
  return false;
}

function pragma(database: SqliteDatabase, name: string): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
}
