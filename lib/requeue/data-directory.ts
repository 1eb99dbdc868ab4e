import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isLocked, loadSqlite, type Sqlite, type SqliteDatabase } from '../clients/sqlite.js';
import { claimAll } from '../durable-queue/directory-claim.js';
import { QueueDirectory } from '../durable-queue/queue-directory.js';
import type { DeadEntry } from '../durable-queue/queue-entry.js';
import { QueueFile } from '../durable-queue/queue-file.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { errorMessage } from '../errors/redact.js';
import { readMeta, type RequeueMeta } from './requeue-meta.js';

const NEEDED_BY = 'The store of the requeue service';
const FILE = '.queue';

/** A dead letter without its body. */
export interface DeadLetterSummary {
  readonly queue: string;
  readonly id: string;
  readonly subject: string;
  readonly reason: string;
  readonly errorCode: string;
  readonly error: string;
  readonly attempts: number;
  readonly bytes: number;
  /** When the message was given up, as an ISO time. */
  readonly time: string;
}

export interface QueueSummary {
  readonly queue: string;
  readonly depth: number;
  readonly bytes: number;
  /** Messages that are due now. */
  readonly due: number;
  /** When the oldest message was accepted, as an ISO time. */
  readonly oldest?: string;
  /** When the next message falls due that is not due yet, as an ISO time. */
  readonly nextDue?: string;
  /** Dead letters by reason. */
  readonly deadLetters: Readonly<Record<string, number>>;
}

export interface DirectorySummary {
  readonly directory: string;
  readonly files: readonly { readonly name: string; readonly owned: boolean; readonly error?: string }[];
  readonly queues: readonly QueueSummary[];
  /** The newest ones, at most as many as were asked for. */
  readonly deadLetters: readonly DeadLetterSummary[];
}

/**
 * What the files of a directory hold. They are only read, and a service may be using them.
 * @throws InvalidOptionError when there is no such directory; MissingPeerError
 */
export async function inspectDirectory(path: string, now: number, limit: number): Promise<DirectorySummary> {
  const sqlite = await loadSqlite(NEEDED_BY);
  const directory = existing(path);
  const files: { name: string; owned: boolean; error?: string }[] = [];
  const queues = new Map<string, MutableSummary>();
  const deadLetters: DeadLetterSummary[] = [];
  for (const name of fileNames(directory)) {
    const owned = isOwned(sqlite, join(directory, `${name}.owner`));
    try {
      reading(sqlite, join(directory, name + FILE), (database) => {
        addQueues(database, queues, now);
        deadLetters.push(...deadLettersOf(database, limit));
      });
      files.push({ name, owned });
    } catch (error) {
      files.push({ name, owned, error: errorMessage(error) });
    }
  }
  deadLetters.sort((a, b) => (a.time < b.time ? 1 : -1));
  const sorted = [...queues.values()].sort((a, b) => (a.queue < b.queue ? -1 : 1));
  return { directory, files, queues: sorted.map(summary), deadLetters: deadLetters.slice(0, limit) };
}

/** Which dead letters: all of them, or those of a queue, or those that fit. */
export interface DeadLetterChoice {
  readonly queue?: string;
  readonly fits?: (dead: DeadEntry) => boolean;
}

/**
 * Shows every dead letter. It only reads, and a service may be using the files.
 * @throws InvalidOptionError when there is no such directory; MissingPeerError; errors of SQLite for a file that is damaged
 */
export async function readDeadLetters(path: string, visit: (dead: DeadEntry) => void): Promise<void> {
  const sqlite = await loadSqlite(NEEDED_BY);
  const directory = existing(path);
  for (const name of fileNames(directory)) {
    const file = QueueFile.read(sqlite, join(directory, name + FILE));
    if (!file) continue;
    try {
      let page: readonly DeadEntry[];
      for (let seq = 0; (page = file.deadAfter(undefined, seq, PAGE)).length > 0; seq = page.at(-1)!.seq)
        page.forEach(visit);
    } finally {
      file.close();
    }
  }
}

/**
 * Puts dead letters back into their queues, as if they had just been accepted: attempts and time to live begin anew.
 * Messages that were refused are left where they are.
 * @throws DirectoryInUseError, InvalidOptionError, MissingPeerError
 */
export async function retryDeadLetters(
  path: string,
  now: number,
  choice: DeadLetterChoice = {},
): Promise<{ readonly retried: number; readonly left: number }> {
  let retried = 0;
  let left = 0;
  await withFiles(path, (file) => {
    let seq = file.lastSeq();
    eachDeadLetter(file, choice, (dead) => {
      const meta = sendable(dead);
      if (!meta) return void left++;
      file.deleteDead(dead.seq);
      const again = {
        ...dead,
        seq: ++seq,
        lane: undefined,
        priority: meta.priority ?? 0,
        dueAt: now,
        expiresAt: meta.ttl === undefined ? undefined : now + meta.ttl,
        queuedAt: now,
        attempts: 0,
        returns: 0,
      };
      file.insert([again]);
      file.addTotals(dead.queue, { depth: 0, bytes: 0, dead: -1 });
      retried++;
    });
  });
  return { retried, left };
}

/** Undefined for a message that was refused: it stays what it was. */
export function sendable({ reason, meta }: DeadEntry): RequeueMeta | undefined {
  return reason === 'refused' ? undefined : readMeta(meta);
}

/** Deletes dead letters for good, and returns how many. @throws DirectoryInUseError, InvalidOptionError, MissingPeerError */
export async function purgeDeadLetters(path: string, choice: DeadLetterChoice = {}): Promise<number> {
  let purged = 0;
  await withFiles(path, (file) =>
    eachDeadLetter(file, choice, (dead) => {
      file.deleteDead(dead.seq);
      file.addTotals(dead.queue, { depth: 0, bytes: 0, dead: -1 });
      purged++;
    }),
  );
  return purged;
}

/**
 * A directory that holds messages of something else is not ours to send from.
 * @throws InvalidOptionError, MissingPeerError
 */
export async function assertOwnDirectory(path: string): Promise<void> {
  const directory = resolve(path);
  if (!existsSync(directory)) return;
  const sqlite = await loadSqlite(NEEDED_BY);
  for (const name of fileNames(directory)) {
    let foreign = false;
    try {
      reading(sqlite, join(directory, name + FILE), (database) => {
        const row = database.prepare('SELECT meta FROM messages UNION ALL SELECT meta FROM dead LIMIT 1').get();
        foreign = row !== undefined && readMeta(String(row.meta)) === undefined;
        // Messages of the service are in no packs.
        foreign ||= database.prepare('SELECT 1 FROM packs LIMIT 1').get() !== undefined;
      });
    } catch {
      // A damaged file is dealt with by the service that opens it.
    }
    if (foreign)
      throw new InvalidOptionError(
        'dataDir',
        path,
        'a directory of its own: this one holds the messages of another store',
      );
  }
}

interface MutableSummary {
  queue: string;
  depth: number;
  bytes: number;
  due: number;
  oldest: number;
  nextDue: number;
  deadLetters: Record<string, number>;
}

function summary({ oldest, nextDue, ...counts }: MutableSummary): QueueSummary {
  const iso = (time: number): string | undefined => (Number.isFinite(time) ? new Date(time).toISOString() : undefined);
  return { ...counts, oldest: iso(oldest), nextDue: iso(nextDue) };
}

function addQueues(database: SqliteDatabase, queues: Map<string, MutableSummary>, now: number): void {
  const of = (queue: string): MutableSummary => {
    let one = queues.get(queue);
    if (!one)
      queues.set(
        queue,
        (one = { queue, depth: 0, bytes: 0, due: 0, oldest: Infinity, nextDue: Infinity, deadLetters: {} }),
      );
    return one;
  };
  const waiting = database.prepare(
    `SELECT queue, count(*) AS depth, sum(bytes) AS bytes, sum(due_at <= ?1) AS due, min(queued_at) AS oldest,
      min(CASE WHEN due_at > ?1 THEN due_at END) AS nextDue FROM messages GROUP BY queue
      UNION ALL SELECT queue, sum(remaining), sum(bytes), sum(remaining), min(queued_at), NULL FROM packs GROUP BY queue`,
  );
  for (const row of waiting.all(now)) {
    const one = of(row.queue as string);
    one.depth += Number(row.depth);
    one.bytes += Number(row.bytes);
    one.due += Number(row.due);
    one.oldest = Math.min(one.oldest, Number(row.oldest));
    if (row.nextDue !== null) one.nextDue = Math.min(one.nextDue, Number(row.nextDue));
  }
  for (const row of database
    .prepare('SELECT queue, reason, count(*) AS count FROM dead GROUP BY queue, reason')
    .all()) {
    const { deadLetters } = of(row.queue as string);
    const reason = row.reason as string;
    deadLetters[reason] = (deadLetters[reason] ?? 0) + Number(row.count);
  }
}

function deadLettersOf(database: SqliteDatabase, limit: number): DeadLetterSummary[] {
  const rows = database.prepare(
    'SELECT queue, id, attempts, bytes, meta, reason, error_code, error_message, time FROM dead ORDER BY seq DESC LIMIT ?',
  );
  return rows.all(limit).map((row) => ({
    queue: row.queue as string,
    id: row.id as string,
    subject: readMeta(row.meta as string)?.subject ?? '',
    reason: row.reason as string,
    errorCode: row.error_code as string,
    error: row.error_message as string,
    attempts: row.attempts as number,
    bytes: row.bytes as number,
    time: new Date(row.time as number).toISOString(),
  }));
}

/** Owns all files of a directory for a moment. */
async function withFiles(path: string, work: (file: QueueFile) => void): Promise<void> {
  const sqlite = await loadSqlite(NEEDED_BY);
  const directory = new QueueDirectory(existing(path), sqlite, 'dataDir');
  const claimed = claimAll(directory, 'service');
  try {
    for (const owned of claimed) {
      const file = QueueFile.open(sqlite, owned.path);
      try {
        work(file);
      } finally {
        file.close();
      }
    }
  } finally {
    for (const { lock } of claimed) lock.release();
  }
}

const PAGE = 100;

/** Page by page, each in one transaction. What is put back comes behind everything that is there now. */
function eachDeadLetter(
  file: QueueFile,
  { queue, fits = () => true }: DeadLetterChoice,
  work: (dead: DeadEntry) => void,
): void {
  let seq = 0;
  for (;;) {
    const page = file.deadAfter(queue, seq, PAGE);
    if (page.length === 0) return;
    file.transaction(() => page.filter(fits).forEach(work));
    seq = page.at(-1)!.seq;
  }
}

function existing(path: string): string {
  const directory = resolve(path);
  if (!existsSync(directory)) throw new InvalidOptionError('dataDir', path, 'a directory that exists');
  return directory;
}

function fileNames(directory: string): string[] {
  return readdirSync(directory)
    .filter((entry) => entry.endsWith(FILE))
    .map((entry) => entry.slice(0, -FILE.length))
    .sort();
}

function reading(sqlite: Sqlite, path: string, work: (database: SqliteDatabase) => void, waitMs = 1_000): void {
  const database = sqlite.open(path, { readOnly: true });
  try {
    database.exec(`PRAGMA busy_timeout = ${waitMs}`);
    work(database);
  } finally {
    database.close();
  }
}

/** Asked without taking the lock, so that a service that starts at this moment is not kept out. */
function isOwned(sqlite: Sqlite, lock: string): boolean {
  if (!existsSync(lock)) return false;
  try {
    reading(sqlite, lock, (database) => void database.prepare('SELECT count(*) FROM sqlite_master').get(), 0);
    return false;
  } catch (error) {
    return isLocked(error);
  }
}
