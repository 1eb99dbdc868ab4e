import type { SqliteDatabase } from '../clients/sqlite.js';
import type { QueueEntry } from './queue-entry.js';
import { checksumOf } from './row.js';

/** The first of its lane is the lane's head. */
const INSERT = `INSERT INTO messages VALUES (?, ?, ?, ?,
  ? IS NULL OR NOT EXISTS (SELECT 1 FROM messages WHERE queue = ? AND lane = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

/** Writes an entry into `messages`, behind those of its lane that are there. */
export function insertEntry(database: SqliteDatabase, entry: QueueEntry): void {
  const { seq, queue, id, lane = null, priority, dueAt, expiresAt = null, queuedAt, attempts, returns } = entry;
  const { bytes, meta, body } = entry;
  const place = [seq, queue, id, lane, lane, queue, lane];
  const times = [priority, dueAt, expiresAt, queuedAt, attempts, returns];
  database.prepare(INSERT).run(...place, ...times, bytes, checksumOf(entry), meta, body);
}
