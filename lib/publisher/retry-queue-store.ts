import type { Clock } from '../clock/clock.js';
import type { SteadyTime } from '../clock/steady-time.js';
import type { MessagingError } from '../errors/messaging-error.js';
import type { Log } from '../events/log.js';
import type { WireMessage } from '../message/message.js';
import type { BackoffSchedule } from '../retry/backoff.js';
import type { Destination } from '../transport/outgoing.js';
import type { UnroutablePolicy } from './publish-options.js';
import type { Death, PublisherDeadLetter, PublisherDeadLetters } from './publisher-dead-letters.js';

/** What is known of a message that waits to be sent. Times are those of the environment's `time`. */
export interface QueuedMessage {
  readonly message: WireMessage;
  readonly to: Destination;
  /** Handed to the transport with the message, the same with every send. */
  readonly dedupeId: string;
  readonly unroutable: UnroutablePolicy;
  /** Of the messages with one key only the first may be sent. Undefined: the message waits for nobody. */
  readonly key: string | undefined;
  /** 0…9, higher first. */
  readonly priority: number;
  /** Handed to the transport with the message: deliver not before this wall-clock time. */
  readonly sendAt: number | undefined;
  /** Not to be sent before this time; 0: at once. */
  readonly dueAt: number;
  /** Not to be sent after this time. */
  readonly expiresAt: number | undefined;
  readonly queuedAt: number;
  /** What the message counts for against `maxBytes`. */
  readonly bytes: number;
  /** Sends that failed for a passing reason while connected. */
  readonly attempts: number;
  /** Sends that no queue took. */
  readonly returns: number;
  /** The message is given up when so many sends have failed. */
  readonly maxAttempts: number | undefined;
  /** How long the message waits after a failed send; undefined: until the next pass. */
  readonly backoff: BackoffSchedule | undefined;
}

/** A message in the store. `seq` grows with every message and is never used for another one. */
export interface StoredMessage extends QueuedMessage {
  readonly seq: number;
}

/** What changes when a send failed. */
export type Progress = Pick<QueuedMessage, 'dueAt' | 'attempts' | 'returns'>;

/** Called once when a message is kept, or with the reason why it is not. */
export type Appended = (stored: StoredMessage, error?: MessagingError) => void;

export interface RetryQueueStoreEnvironment {
  /** The sender of what is kept, and where to: `<service>:<connection>:<broker>`, without the address of a server. */
  readonly destination: string;
  /** The topic of a message that names none, where it is known. */
  readonly topic?: string;
  readonly clock: Clock;
  /** The time that every `dueAt`, `expiresAt` and `queuedAt` is measured in. */
  readonly time: SteadyTime;
  readonly log: Log;
  /** Messages of a process that died are here now. */
  readonly onAdopted: (count: number) => void;
  /** Reading or writing failed; nothing is lost by it. */
  readonly onError: (operation: string, error: MessagingError) => void;
}

/**
 * Where the publisher retry queue keeps what waits, in the order it came.
 *
 * Methods are synchronous. What `ready` hands out stays in the store until `remove` or `bury`; who took it remembers that.
 * Except for `append`, which tells, and `flush`, which throws, nothing fails when the medium does: the store remembers what
 * it could not write, and hands nothing out twice that was removed.
 */
export interface RetryQueueStore {
  readonly kind: 'memory' | 'disk';
  /** Messages that wait, those being accepted included. */
  readonly depth: number;
  readonly bytes: number;
  /** Messages that would be lost if the process ended now. */
  readonly volatileDepth: number;
  /** Messages that were given up. */
  readonly deadLetters: PublisherDeadLetters;
  /** For health, where the store can say so. */
  readonly report?: RetryQueueStoreReport;
  /** Called once before the connection is made; messages may have been appended before. @throws for a misconfiguration */
  open(): Promise<void>;
  /** Takes a message. `appended` is called once, perhaps before this returns, unless the message is removed before. */
  append(message: QueuedMessage, appended: Appended): StoredMessage;
  /** Takes out what was sent or is not wanted. Returns the message that may be sent now, if it was the key's first. */
  remove(stored: StoredMessage): StoredMessage | undefined;
  /** A message is given up and becomes a dead letter. Returns as `remove` does. */
  bury(stored: StoredMessage, death: Death): StoredMessage | undefined;
  /** A message waits on in its place. Returns it as it is now. */
  update(stored: StoredMessage, progress: Progress): StoredMessage;
  /** Messages of this key wait. */
  holds(key: string): boolean;
  /** The message is kept, and no other of its key is before it. */
  isFirst(stored: StoredMessage): boolean;
  /**
   * The first message of each key and those without one that are due, by priority and then in the order they became due.
   * Shows what was there when it was called, skips what leaves meanwhile, and is ended early by its `return`.
   * `dueAfter`: only those that became due after this time.
   */
  ready(dueUntil: number, dueAfter?: number): Iterator<StoredMessage>;
  /** The earliest `dueAt` after this time (-1: of all) of the first of each key, perhaps of one that has just left. */
  nextDueAt(after: number): number | undefined;
  /** The earliest `expiresAt`, perhaps of a message that has just left. */
  nextExpiry(): number | undefined;
  /** Messages whose time to live has ended, at most `limit`. */
  expired(now: number, limit: number): StoredMessage[];
  /** When the longest waiting message of those due was queued. */
  oldestQueuedAt(now: number): number | undefined;
  /** Messages with this id that wait for their `dueAt`. */
  delayed(id: string): StoredMessage[];
  /** What became of a message. */
  find(seq: number): 'waiting' | 'gone' | PublisherDeadLetter;
  /** Everything is kept when it returns. @throws RetryQueueStoreError */
  flush(): void;
  /** Ends the store: what was not kept yet is, or is told that it is not. Returns what is lost by that. */
  close(): StoredMessage[];
}

/** What a store can tell beside its depth. */
export interface RetryQueueStoreReport {
  /** False while the store cannot be written. */
  readonly healthy: boolean;
  /** Messages taken over from processes that died, since the start. */
  readonly adopted: number;
  /** Files and messages that could not be read and were put aside, since the start. */
  readonly quarantined: number;
  /** Messages beside it that another application has to send, by destination. They are left alone. */
  readonly others?: readonly OtherRetryQueue[];
}

/** Messages in the same place that are for another destination. */
export interface OtherRetryQueue {
  /** `<service>:<connection>:<broker>`; undefined where it is not known. */
  readonly destination: string | undefined;
  readonly files: number;
  readonly messages: number;
  /** False: no process that could send some of these is alive. */
  readonly running: boolean;
}

/** Makes the store of one publisher: what `retryQueue.store` takes. */
export interface RetryQueueStoreFactory {
  readonly kind: 'memory' | 'disk';
  create(environment: RetryQueueStoreEnvironment): RetryQueueStore;
}
