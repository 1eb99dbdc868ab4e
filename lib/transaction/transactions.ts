import { randomUUID } from 'node:crypto';
import type { CancelTimer, Clock } from '../clock/clock.js';
import { until } from '../clock/sleep.js';
import { brand } from '../errors/brand.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { MessagingError } from '../errors/messaging-error.js';
import { integerBetween, knownKeys, oneOf } from '../errors/option-checks.js';
import { errorMessage } from '../errors/redact.js';
import { TransactionRecordError } from '../errors/transaction-errors.js';
import type { Log } from '../events/log.js';
import type { MessagingEvents } from '../events/messaging-events.js';
import type { Serializer } from '../message/serializer.js';
import type { Publication } from '../publisher/publication.js';
import type { Receipt } from '../publisher/receipt.js';
import { messageOf } from './kept-message.js';
import { Pauses } from './pauses.js';
import { RecordOwnership } from './record-ownership.js';
import { SettlingRecords } from './settling-records.js';
import { type TransactionChecker, TransactionCheckers } from './transaction-checkers.js';
import type { ResolvedTransactionsOptions } from './transaction-options.js';
import {
  TRANSACTION_STATES,
  type TransactionRecord,
  type TransactionRecordStore,
  type TransactionState,
} from './transaction-record.js';
import { TransactionalSender } from './transactional-sender.js';

export interface TransactionsParts {
  readonly scope: string;
  readonly clock: Clock;
  readonly events: MessagingEvents;
  readonly log: Log;
  readonly serializer: Serializer;
  /** The most transactions that this process sees to at a time. */
  readonly most: number;
  readonly publish: (publication: Publication) => Promise<Receipt>;
}

/** A transactional send whose message is not sent yet. */
export interface PendingTransaction {
  /** As the local transaction was given it. */
  readonly id: string;
  readonly messageId: string;
  readonly route: string;
  readonly state: TransactionState;
  readonly preparedAt: Date;
  /** How often it was asked about without an answer. */
  readonly checks: number;
  /** What is in the way, as it was found last. */
  readonly reason?: string;
  readonly body: Buffer;
  /** Its place: what is listed `after` it comes later. */
  readonly seq: number;
}

/** What `messaging.health()` says of transactional sends. */
export interface TransactionsHealth {
  readonly store: string;
  /** Local transactions that run in this process. */
  readonly running: number;
  /** Of all processes, as they were counted last: not known what became of them, and asked again. */
  readonly unknown: number;
  /** The same: asked about as often as may be. Somebody has to say what became of them. */
  readonly parked: number;
  /** Committed ones of this process whose message could not be sent so far. */
  readonly unsent: number;
  /** Why the store cannot be used. */
  readonly reason?: string;
}

const OUTCOMES = ['committed', 'rolled-back', 'unknown'] as const;

/** The transactional sends of one connection: those under way, and those that wait for somebody to say what became of them. */
export class Transactions {
  /** @internal */
  readonly checkers: TransactionCheckers;
  /** @internal */
  readonly sender: TransactionalSender;
  private readonly owner = randomUUID();
  private readonly store: TransactionRecordStore;
  private readonly settling: SettlingRecords;
  private readonly ownership: RecordOwnership;
  private counts = { unknown: 0, parked: 0 };
  private failure: string | undefined;
  private opened = false;
  private stopped = false;
  private cancelTimer: CancelTimer | undefined;
  private passing: Promise<void> | undefined;

  /** Undefined without a store. @throws InvalidOptionError @internal */
  static of(
    options: ResolvedTransactionsOptions | undefined,
    durable: boolean,
    parts: TransactionsParts,
  ): Transactions | undefined {
    if (!options) return undefined;
    if (durable && !options.store.durable)
      throw new InvalidOptionError(
        'transactions.store',
        `in ${options.store.kind}`,
        'sqliteTransactionRecords({ file }) or another that survives the process: the records are there for when it does not',
      );
    return new Transactions(options, parts);
  }

  private constructor(
    private readonly options: ResolvedTransactionsOptions,
    private readonly parts: TransactionsParts,
  ) {
    const { clock, scope, events, log, serializer, most, publish } = parts;
    const { commitStatus, timeout, grace, lease, checks, backoff } = options;
    const { owner } = this;
    const storeFailed = (operation: string, error: unknown): void => this.storeFailed(operation, error);
    const store = (this.store = options.store.create({ clock, scope }));
    const checkers = (this.checkers = new TransactionCheckers(serializer, clock, commitStatus));
    const isRunning = (id: string): boolean => this.sender.runningIds.has(id);
    const shared = { store, owner, checkers, clock, storeFailed };
    const settling = (this.settling = new SettlingRecords({
      ...shared,
      ...{ events, log, checks, isRunning, publish, pauses: new Pauses(backoff, log) },
    }));
    this.sender = new TransactionalSender({ ...shared, settling, timeout, grace, most });
    this.ownership = new RecordOwnership(store, owner, lease, clock);
  }

  /**
   * Those that are kept, of one state or of all, in the order in which they were prepared.
   * @throws InvalidOptionError, TransactionRecordError
   */
  async list(
    page: { readonly state?: TransactionState; readonly after?: number; readonly limit?: number } = {},
  ): Promise<PendingTransaction[]> {
    knownKeys('page', page, ['state', 'after', 'limit']);
    const { state, after = 0, limit = 100 } = page;
    if (state !== undefined) oneOf('state', state, TRANSACTION_STATES);
    integerBetween('after', after, 0, Number.MAX_SAFE_INTEGER);
    integerBetween('limit', limit, 1, 100_000);
    return (await this.store.page(state, after, limit)).map(shown);
  }

  /**
   * Says what became of a parked transaction: `committed`, its message is sent; `rolled-back`, it goes; `unknown`, its
   * `@CheckTransaction` is asked anew. False: there is no parked one with this id.
   * @throws InvalidOptionError, TransactionRecordError
   */
  async resolve(id: string, outcome: 'committed' | 'rolled-back' | 'unknown'): Promise<boolean> {
    oneOf('outcome', outcome, OUTCOMES);
    checkText('id', id);
    let resolved: boolean | undefined;
    try {
      return (resolved = await this.store.resolve(id, this.owner, outcome));
    } finally {
      // Where the answer was lost the record may be resolved all the same.
      if (resolved !== false && outcome !== 'rolled-back') this.settling.add(id, resolved ? 0 : this.options.grace);
    }
  }

  /** @throws what makes the store impossible to use @internal */
  async open(): Promise<void> {
    await this.store.open?.();
    this.opened = true;
  }

  /** @throws SubscriptionConflictError @internal */
  addChecker(checker: TransactionChecker): void {
    this.checkers.add(checker);
  }

  /** Begins to look for what others have left. @internal */
  start(): void {
    if (!this.stopped && !this.cancelTimer && !this.passing) this.look();
  }

  /** No check begins any more; local transactions go on. @internal */
  async stop(): Promise<void> {
    this.settling.stop();
    await this.passing;
  }

  /** Nothing new begins; resolves when what runs has ended and is sent, or the signal is aborted. @internal */
  async drain(signal: AbortSignal): Promise<void> {
    this.sender.close();
    await until(this.sender.drained(), signal);
    for (const id of this.sender.runningIds)
      this.parts.log.error(
        `The local transaction ${id} had not ended at the shutdown deadline; another process, or the next one, asks what became of it`,
      );
  }

  /** After the publisher has closed: what is left, or not answered when the signal is aborted, is for others. @internal */
  async close(signal: AbortSignal): Promise<void> {
    this.stopped = true;
    this.cancelTimer?.();
    await until(Promise.all([this.passing, this.settling.drained()]), signal);
    const unanswered = this.settling.close();
    if (unanswered > 0)
      this.parts.log.warn(
        `${unanswered} check-backs had not been answered at the shutdown deadline; another process, or the next one, asks again`,
      );
    try {
      // Others take over at once what this process leaves; where they are not told, they see that it is gone.
      if (this.opened) await this.store.leave(this.owner);
    } catch (error) {
      this.storeFailed('leave', error);
    }
    await Promise.all([this.store.close(), this.checkers.close()]);
  }

  /** Whether a message that was not sent is kept in a record. @internal */
  keeps(messageId: string): boolean {
    return this.settling.keeps(messageId);
  }

  /** Whether a record sees to this publish, should it fail. @internal */
  isSending(id: string): boolean {
    return this.settling.isSending(id);
  }

  /** @internal */
  health(): TransactionsHealth {
    const { counts, failure } = this;
    return {
      store: this.options.store.kind,
      running: this.sender.runningIds.size,
      ...counts,
      unsent: this.settling.unsent,
      ...(failure !== undefined && { reason: failure }),
    };
  }

  private get inHand(): number {
    return this.sender.runningIds.size + this.settling.size;
  }

  private look(): void {
    this.cancelTimer = undefined;
    this.passing = this.pass().finally(() => {
      this.passing = undefined;
      if (!this.stopped)
        this.cancelTimer = this.parts.clock.after(this.options.lease / 3, () => this.look(), { background: true });
    });
  }

  /** Shows that this process lives, where others have to know, and takes over from those that do not. */
  private async pass(): Promise<void> {
    const { store, checkers, ownership, sender, settling } = this;
    try {
      if (this.inHand > 0) await store.beat(this.owner);
      await ownership.observe();
      const room = (): number => this.parts.most - this.inHand;
      const isKnown = (id: string): boolean => sender.runningIds.has(id) || settling.has(id);
      await ownership.adopt(checkers.routes, { room, isKnown, adopted: (record) => this.adopted(record) });
      const { unknown, parked } = await store.count();
      this.counts = { unknown, parked };
      this.storeFailed('look', undefined);
    } catch (error) {
      this.storeFailed('look', error);
    }
  }

  /** One that was still prepared may run on in its database: it is given the time that it may take. */
  private adopted({ id, route, state, timeoutMs }: TransactionRecord): void {
    const waitMs = state === 'committed' ? 0 : timeoutMs + this.options.grace;
    this.parts.log.log(`Transaction ${id} (${route}, ${state}) of a process that ended is seen to in ${waitMs} ms`);
    this.settling.add(id, waitMs);
  }

  private storeFailed(operation: string, error: unknown): void {
    const { events, log } = this.parts;
    const before = this.failure;
    if (error === undefined) {
      this.failure = undefined;
      if (before !== undefined) log.log('The store of transaction records works again');
      return;
    }
    this.failure = errorMessage(error);
    if (before !== this.failure) log.error(`The store of transaction records failed: ${this.failure}`);
    if (events.has('store-error'))
      events.emit('store-error', { operation: `transaction ${operation}`, error: recordError(error) });
  }
}

brand({ Transactions });

function recordError(error: unknown): MessagingError {
  return error instanceof MessagingError ? error : new TransactionRecordError(errorMessage(error), { cause: error });
}

function checkText(option: string, value: unknown): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new InvalidOptionError(option, value, 'the id of a transaction');
}

/** A record as it is shown. */
export function shown(record: TransactionRecord): PendingTransaction {
  const { id, route, state, preparedAt, checks, reason, body, seq } = record;
  return {
    ...{ id, messageId: messageOf(record).id, route, state, preparedAt: new Date(preparedAt), checks, body, seq },
    ...(reason !== undefined && { reason }),
  };
}
