import type { SqliteDatabase, SqliteValue } from '../clients/sqlite.js';
import type { QueueEntry } from './queue-entry.js';
import { checksumOf } from './row.js';

/** One call of SQLite takes so many rows: the calls cost more than the rows. */
const ROWS = 8;
const PLAIN = '(?, ?, ?, NULL, 1, 0, 0, NULL, ?, 0, 0, ?, ?, ?, ?)';
const ONE_PLAIN = `INSERT INTO messages VALUES ${PLAIN}`;
const SOME_PLAIN = `INSERT INTO messages VALUES ${new Array<string>(ROWS).fill(PLAIN).join(', ')}`;
/** The first of its lane is the lane's head. */
const ONE = `INSERT INTO messages VALUES (?, ?, ?, ?,
  ? IS NULL OR NOT EXISTS (SELECT 1 FROM messages WHERE queue = ? AND lane = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

/** Writes entries into `messages`, those of one lane in the order they have here. */
export function insertEntries(database: SqliteDatabase, entries: Iterable<QueueEntry>): void {
  let plain: SqliteValue[] = [];
  let rows = 0;
  for (const entry of entries) {
    if (!isPlain(entry)) {
      insertOne(database, entry);
      continue;
    }
    const { seq, queue, id, queuedAt, bytes, meta, body } = entry;
    plain.push(seq, queue, id, queuedAt, bytes, checksumOf(entry), meta, body);
    if (++rows < ROWS) continue;
    database.prepare(SOME_PLAIN).run(...plain);
    plain = [];
    rows = 0;
  }
  const width = plain.length / rows;
  for (let at = 0; at < plain.length; at += width) database.prepare(ONE_PLAIN).run(...plain.slice(at, at + width));
}

/** As nearly all are: it waits for nobody and for no time, and has just come. */
function isPlain({ lane, priority, dueAt, expiresAt, attempts, returns }: QueueEntry): boolean {
  return (
    lane === undefined && priority === 0 && dueAt === 0 && expiresAt === undefined && attempts === 0 && returns === 0
  );
}

function insertOne(database: SqliteDatabase, entry: QueueEntry): void {
  const { seq, queue, id, lane = null, priority, dueAt, expiresAt = null, queuedAt, attempts, returns } = entry;
  const { bytes, meta, body } = entry;
  const place = [seq, queue, id, lane, lane, queue, lane];
  const times = [priority, dueAt, expiresAt, queuedAt, attempts, returns];
  database.prepare(ONE).run(...place, ...times, bytes, checksumOf(entry), meta, body);
}
