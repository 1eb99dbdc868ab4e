/** What is to be kept. Times are milliseconds since the epoch, as the owner of the queue measures them. */
export interface NewQueueEntry {
  /** Several queues share a file; '' where there is only one. */
  readonly queue: string;
  /** The message's id, for looking it up; not necessarily unique. */
  readonly id: string;
  /** Only the first entry of a lane is due, the others wait until it has left. Undefined: no lane. */
  readonly lane: string | undefined;
  /** 0…9, higher first. */
  readonly priority: number;
  /** Not before this time; 0: at once. */
  readonly dueAt: number;
  /** Of no use after this time. */
  readonly expiresAt: number | undefined;
  readonly queuedAt: number;
  readonly attempts: number;
  /** How often nobody took the entry. */
  readonly returns: number;
  /** What the entry counts for in statistics. */
  readonly bytes: number;
  /** What the user of the queue wants to know of the entry again, as text. */
  readonly meta: string;
  readonly body: Buffer;
}

/** An entry as it is kept. `seq` is its place: it grows with every entry and is never used twice in a file. */
export interface QueueEntry extends NewQueueEntry {
  readonly seq: number;
}

/** What is at a place of a file. */
export interface StoredEntry {
  readonly seq: number;
  readonly queue: string;
  readonly bytes: number;
  readonly dueAt: number;
  /** Undefined: the entry is not what was written. */
  readonly entry: QueueEntry | undefined;
}

/** As nearly all are: the entry waits for nobody and for no time, and has just come. */
export function isPlain({ lane, priority, dueAt, expiresAt, attempts, returns }: NewQueueEntry): boolean {
  return (
    lane === undefined && priority === 0 && dueAt === 0 && expiresAt === undefined && attempts === 0 && returns === 0
  );
}

/** In place: its owner knows the entry by the object. */
export function moveTo(entry: QueueEntry, seq: number): void {
  (entry as { seq: number }).seq = seq;
}

/** The entry at another place. Written out: a spread takes ten times as long, and everything that reads its result, too. */
export function placed(entry: NewQueueEntry, seq: number): QueueEntry {
  return {
    seq,
    queue: entry.queue,
    id: entry.id,
    lane: entry.lane,
    priority: entry.priority,
    dueAt: entry.dueAt,
    expiresAt: entry.expiresAt,
    queuedAt: entry.queuedAt,
    attempts: entry.attempts,
    returns: entry.returns,
    bytes: entry.bytes,
    meta: entry.meta,
    body: entry.body,
  };
}

/** How an entry that failed goes on. */
export interface EntryProgress {
  readonly dueAt: number;
  readonly attempts: number;
  readonly returns: number;
}

/** Why an entry was given up. */
export interface Death {
  readonly reason: string;
  readonly errorClass: string;
  readonly errorCode: string;
  readonly errorMessage: string;
  readonly time: number;
}

/** An entry that was given up. */
export interface DeadEntry extends Death {
  readonly seq: number;
  readonly queue: string;
  readonly id: string;
  readonly attempts: number;
  readonly bytes: number;
  readonly meta: string;
  readonly body: Buffer;
}

/** What one queue holds. */
export interface QueueTotals {
  readonly depth: number;
  readonly bytes: number;
  readonly dead: number;
}

export const LOWEST_PRIORITY = 0;
export const HIGHEST_PRIORITY = 9;
