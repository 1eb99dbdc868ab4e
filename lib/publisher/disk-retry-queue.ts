import { DurableQueue } from '../durable-queue/durable-queue.js';
import type { DeadEntry, NewQueueEntry, QueueEntry } from '../durable-queue/queue-entry.js';
import { parseTagged, stringifyTagged } from '../durable-queue/tagged-json.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { knownKeys, numberBetween } from '../errors/option-checks.js';
import { RetryQueueStoreError } from '../errors/publish-errors.js';
import type { Headers } from '../message/headers.js';
import type { MessageProperties, WireMessage } from '../message/message.js';
import type { Destination } from '../transport/outgoing.js';
import type { Death, PublisherDeadLetter, PublisherDeadLetters } from './publisher-dead-letters.js';
import type {
  Appended,
  Progress,
  QueuedMessage,
  RetryQueueStore,
  RetryQueueStoreEnvironment,
  RetryQueueStoreFactory,
  RetryQueueStoreReport,
  StoredMessage,
} from './retry-queue-store.js';

export interface DiskRetryQueueOptions {
  /** The folder, best on a local disk and for this application alone; it is made with access for its owner only. */
  readonly directory: string;
  /** Milliseconds between two looks for files of processes that died. Default 10,000. */
  readonly adoptInterval?: number;
  /**
   * Destinations, as `messaging.health()` tells them in `retryQueue.others`, whose files are taken over as well: after this
   * application was called otherwise, or another one is gone for good. Default none.
   */
  readonly adopt?: readonly string[];
}

const LONGEST = 2 ** 31 - 1;

/**
 * Keeps the publisher retry queue on disk: a message that was accepted survives the death of the process. Each process has
 * a file of its own in the directory; the files of processes that died are taken over by those that live.
 *
 * Needs Node 22.13 or the package `@photostructure/sqlite`.
 * @throws InvalidOptionError
 */
export function diskRetryQueue(options: DiskRetryQueueOptions): RetryQueueStoreFactory {
  knownKeys('diskRetryQueue', options, ['directory', 'adoptInterval', 'adopt']);
  const { directory, adoptInterval = 10_000, adopt = [] } = options;
  if (typeof directory !== 'string' || directory === '')
    throw new InvalidOptionError('diskRetryQueue.directory', directory, 'the path of a directory');
  numberBetween('diskRetryQueue.adoptInterval', adoptInterval, 1, LONGEST);
  if (!Array.isArray(adopt) || !adopt.every((one) => typeof one === 'string' && one !== ''))
    throw new InvalidOptionError('diskRetryQueue.adopt', adopt, 'a list of destinations');
  const complete = { directory, adoptInterval, adopt: [...(adopt as readonly string[])] };
  return { kind: 'disk', create: (environment) => new DiskRetryQueueStore(complete, environment) };
}

/** All messages are in one queue of the file. */
export const QUEUE = '';

/** What of a message is kept as text. */
interface MessageMeta {
  readonly to: Destination;
  /** Left out where it is the message's id. */
  readonly dedupeId?: string;
  readonly route: string;
  readonly headers: Headers;
  readonly properties: MessageProperties;
  readonly sendAt?: number;
  readonly unroutable: QueuedMessage['unroutable'];
  readonly maxAttempts?: number;
  readonly backoff?: QueuedMessage['backoff'];
}

/** What does not change while a message waits. */
type Kept = Pick<QueuedMessage, 'message' | 'to' | 'dedupeId' | 'sendAt' | 'unroutable' | 'maxAttempts' | 'backoff'>;

/** A message, with the entry that it is in the queue of the file. */
class DiskMessage implements StoredMessage {
  constructor(
    readonly entry: QueueEntry,
    private readonly kept: Kept,
  ) {}

  get message(): WireMessage {
    return this.kept.message;
  }

  get to(): Destination {
    return this.kept.to;
  }

  get dedupeId(): string {
    return this.kept.dedupeId;
  }

  get unroutable(): QueuedMessage['unroutable'] {
    return this.kept.unroutable;
  }

  get sendAt(): number | undefined {
    return this.kept.sendAt;
  }

  get maxAttempts(): number | undefined {
    return this.kept.maxAttempts;
  }

  get backoff(): QueuedMessage['backoff'] {
    return this.kept.backoff;
  }

  get seq(): number {
    return this.entry.seq;
  }

  get key(): string | undefined {
    return this.entry.lane;
  }

  get priority(): number {
    return this.entry.priority;
  }

  get dueAt(): number {
    return this.entry.dueAt;
  }

  get expiresAt(): number | undefined {
    return this.entry.expiresAt;
  }

  get queuedAt(): number {
    return this.entry.queuedAt;
  }

  get bytes(): number {
    return this.entry.bytes;
  }

  get attempts(): number {
    return this.entry.attempts;
  }

  get returns(): number {
    return this.entry.returns;
  }
}

class DiskRetryQueueStore implements RetryQueueStore {
  readonly kind = 'disk';
  readonly deadLetters: PublisherDeadLetters;
  private readonly queue: DurableQueue;
  private readonly directory: string;
  private readonly topic: string | undefined;
  /** Messages that are being written. */
  private unwritten = 0;

  constructor(
    { directory, adoptInterval, adopt }: Required<DiskRetryQueueOptions>,
    environment: RetryQueueStoreEnvironment,
  ) {
    this.directory = directory;
    this.topic = environment.topic;
    const { destination: name, clock, log, onAdopted, onError } = environment;
    const destination = { name, accepts: (other: string) => adopt.includes(other) };
    const names = { directoryOption: 'diskRetryQueue.directory', neededBy: 'diskRetryQueue()' };
    this.queue = new DurableQueue({ directory, ...names, adoptInterval, destination }, clock, {
      log,
      adopted: onAdopted,
      failed: onError,
    });
    this.deadLetters = new DiskDeadLetters(this.queue);
  }

  get depth(): number {
    return this.queue.totals(QUEUE).depth;
  }

  get bytes(): number {
    return this.queue.totals(QUEUE).bytes;
  }

  get volatileDepth(): number {
    return this.unwritten;
  }

  get report(): RetryQueueStoreReport {
    const { healthy, adopted, quarantined, others } = this.queue;
    return { healthy, adopted, quarantined, others };
  }

  open(): Promise<void> {
    return this.queue.open();
  }

  append(message: QueuedMessage, appended: Appended): StoredMessage {
    this.unwritten++;
    const entry = this.queue.append(entryOf(message, this.topic), (error) => {
      this.unwritten--;
      appended(stored, error);
    });
    // Its bytes need not be read again as long as somebody has it.
    const stored = new DiskMessage(entry, message);
    return stored;
  }

  remove(stored: StoredMessage): StoredMessage | undefined {
    return this.leaving(stored, (entry) => this.queue.remove(entry));
  }

  bury(stored: StoredMessage, { reason, error, time }: Death): StoredMessage | undefined {
    const death = { reason, errorClass: error.name, errorCode: error.code, errorMessage: error.message, time };
    return this.leaving(stored, (entry) => this.queue.bury(entry, death));
  }

  update(stored: StoredMessage, progress: Progress): StoredMessage {
    return new DiskMessage(this.queue.update(entryIn(stored), progress), stored);
  }

  holds(key: string): boolean {
    return this.queue.holds(QUEUE, key);
  }

  isFirst(stored: StoredMessage): boolean {
    return this.queue.isHead(entryIn(stored));
  }

  ready(dueUntil: number, dueAfter?: number): Iterator<StoredMessage> {
    return new Pass(this.queue.ready(QUEUE, { dueUntil, dueAfter }));
  }

  nextDueAt(after: number): number | undefined {
    return this.queue.nextDueAt(QUEUE, after);
  }

  nextExpiry(): number | undefined {
    return this.queue.nextExpiry(QUEUE);
  }

  expired(now: number, limit: number): StoredMessage[] {
    return this.queue.expired(QUEUE, now, limit).map(read);
  }

  oldestQueuedAt(now: number): number | undefined {
    return this.queue.oldestQueuedAt(QUEUE, now);
  }

  delayed(id: string): StoredMessage[] {
    return this.queue.delayed(QUEUE, id).map(read);
  }

  find(seq: number): 'waiting' | 'gone' | PublisherDeadLetter {
    const found = this.queue.find(seq);
    return typeof found === 'string' ? found : readDead(found);
  }

  flush(): void {
    if (!this.queue.commit())
      throw new RetryQueueStoreError(`What changed in ${this.directory} could not be written; it is tried again`);
  }

  close(): StoredMessage[] {
    this.queue.close();
    return [];
  }

  private leaving(
    stored: StoredMessage,
    leave: (entry: QueueEntry) => QueueEntry | undefined,
  ): StoredMessage | undefined {
    const entry = entryIn(stored);
    const unwritten = this.queue.isUnwritten(entry);
    const next = leave(entry);
    if (unwritten) this.unwritten--;
    return next && read(next);
  }
}

class DiskDeadLetters implements PublisherDeadLetters {
  constructor(private readonly queue: DurableQueue) {}

  get size(): number {
    return this.queue.totals(QUEUE).dead;
  }

  after(seq: number, limit: number): PublisherDeadLetter[] {
    return this.queue.deadAfter(QUEUE, seq, limit).map(readDead);
  }

  oldest(limit: number): PublisherDeadLetter[] {
    return this.queue.oldestDead(QUEUE, limit).map(readDead);
  }

  delete(letter: PublisherDeadLetter): boolean {
    return this.deleteAll([letter]) === 1;
  }

  deleteAll(letters: readonly PublisherDeadLetter[]): number {
    return this.queue.deleteDead(QUEUE, letters).length;
  }
}

/** A pass of the queue, with its messages. */
class Pass implements Iterator<StoredMessage> {
  constructor(private readonly entries: Iterator<QueueEntry>) {}

  next(): IteratorResult<StoredMessage> {
    const step = this.entries.next();
    return step.done ? { done: true, value: undefined } : { done: false, value: read(step.value) };
  }

  return(): IteratorResult<StoredMessage> {
    this.entries.return?.();
    return { done: true, value: undefined };
  }
}

/** Written out: this is done once per message. */
function entryOf(queued: QueuedMessage, topic: string | undefined): NewQueueEntry {
  const { message, to, dedupeId, sendAt, unroutable, maxAttempts, backoff } = queued;
  const { route, headers, properties } = message;
  const meta: { -readonly [Name in keyof MessageMeta]: MessageMeta[Name] } = {
    // Whoever takes it over may have another topic.
    to: to.kind === 'route' && to.topic === undefined && topic !== undefined ? { ...to, topic } : to,
    route,
    headers,
    properties,
    unroutable,
  };
  if (dedupeId !== message.id) meta.dedupeId = dedupeId;
  if (sendAt !== undefined) meta.sendAt = sendAt;
  if (maxAttempts !== undefined) meta.maxAttempts = maxAttempts;
  if (backoff !== undefined) meta.backoff = backoff;
  return {
    queue: QUEUE,
    id: message.id,
    lane: queued.key,
    priority: queued.priority,
    dueAt: queued.dueAt,
    expiresAt: queued.expiresAt,
    queuedAt: queued.queuedAt,
    attempts: queued.attempts,
    returns: queued.returns,
    bytes: queued.bytes,
    meta: stringifyTagged(meta),
    body: message.body,
  };
}

function entryIn(stored: StoredMessage): QueueEntry {
  return (stored as DiskMessage).entry;
}

function read(entry: QueueEntry): StoredMessage {
  return new DiskMessage(entry, metaOf(entry));
}

function metaOf(entry: { readonly id: string; readonly meta: string; readonly body: Buffer }): Kept {
  const meta = parseTagged(entry.meta) as MessageMeta;
  const { to, dedupeId = entry.id, route, headers, properties, sendAt, unroutable, maxAttempts, backoff } = meta;
  const message = { id: entry.id, route, body: entry.body, headers, properties };
  return { message, to, dedupeId, sendAt, unroutable, maxAttempts, backoff };
}

export function readDead(dead: DeadEntry): PublisherDeadLetter {
  const { seq, attempts, reason, errorClass: name, errorCode: code, errorMessage: message, time } = dead;
  const { to, message: kept } = metaOf(dead);
  return { seq, attempts, reason: reason as Death['reason'], error: { name, code, message }, time, to, message: kept };
}
