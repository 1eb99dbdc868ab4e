import { crc32 } from 'node:zlib';
import type { SqliteRow } from '../clients/sqlite.js';
import type { DeadEntry, NewQueueEntry, QueueEntry, StoredEntry } from './queue-entry.js';

/** Over everything that must not change unseen; what changes with every attempt is left out. */
export function checksumOf(entry: NewQueueEntry): number {
  const { queue, id, lane, priority, expiresAt, queuedAt, meta, body } = entry;
  const head = crc32(`${queue}\n${id}\n${lane ?? ''}\n${priority}\n${expiresAt ?? ''}\n${queuedAt}\n${meta}`);
  // Of no bytes zlib gives, depending on where they are not, the sum before or 0.
  return body.length === 0 ? head : crc32(body, head);
}

/** What is in a row of `messages`. */
export function readRow(row: SqliteRow): StoredEntry {
  const { seq, queue, bytes, due_at: dueAt } = row;
  return { seq, queue, bytes, dueAt, entry: readEntry(row) } as StoredEntry;
}

function readEntry(row: SqliteRow): QueueEntry | undefined {
  if (typeof row.meta !== 'string' || !(row.body instanceof Uint8Array) || typeof row.id !== 'string') return undefined;
  const entry: QueueEntry = {
    seq: row.seq as number,
    queue: row.queue as string,
    id: row.id,
    lane: (row.lane as string | null) ?? undefined,
    priority: row.priority as number,
    dueAt: row.due_at as number,
    expiresAt: (row.expires_at as number | null) ?? undefined,
    queuedAt: row.queued_at as number,
    attempts: row.attempts as number,
    returns: row.returns as number,
    bytes: row.bytes as number,
    meta: row.meta,
    body: bytesOf(row.body),
  };
  return checksumOf(entry) === row.checksum ? entry : undefined;
}

export function readDeadEntry(row: SqliteRow): DeadEntry {
  return {
    seq: row.seq as number,
    queue: row.queue as string,
    id: row.id as string,
    attempts: row.attempts as number,
    bytes: row.bytes as number,
    meta: row.meta as string,
    body: bytesOf(row.body as Uint8Array),
    reason: row.reason as string,
    errorClass: row.error_class as string,
    errorCode: row.error_code as string,
    errorMessage: row.error_message as string,
    time: row.time as number,
  };
}

/** The bytes of a column, not copied. */
export function bytesOf(value: Uint8Array): Buffer {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}
