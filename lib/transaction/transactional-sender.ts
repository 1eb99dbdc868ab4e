import type { Clock } from '../clock/clock.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { MessagingError } from '../errors/messaging-error.js';
import { knownKeys } from '../errors/option-checks.js';
import { PublisherClosedError, RetryQueueFullError } from '../errors/publish-errors.js';
import { TransactionRolledBackError } from '../errors/outbox-errors.js';
import { errorMessage } from '../errors/redact.js';
import {
  TransactionRecordError,
  TransactionTimeoutError,
  TransactionUnknownError,
} from '../errors/transaction-errors.js';
import { thrownValue } from '../errors/thrown-value.js';
import { PUBLISH_OPTION_NAMES } from '../publisher/message-factory.js';
import type { Publication } from '../publisher/publication.js';
import type { Receipt } from '../publisher/receipt.js';
import type {
  LocalTransactionWork,
  ProvenTransaction,
  TransactionalSending,
  TransactionOptions,
} from '../publisher/transactional-sending.js';
import { proofOf, recordOf } from './kept-message.js';
import type { SettlingRecords } from './settling-records.js';
import type { TransactionCheckers } from './transaction-checkers.js';
import { checkTimeout } from './transaction-options.js';
import type { NewTransactionRecord, TransactionRecordStore } from './transaction-record.js';

export interface SenderParts {
  readonly store: TransactionRecordStore;
  readonly owner: string;
  readonly checkers: TransactionCheckers;
  readonly settling: SettlingRecords;
  readonly clock: Clock;
  readonly timeout: number;
  readonly grace: number;
  /** The most transactions that this process sees to at a time. */
  readonly most: number;
  /** The store failed, or works (undefined). */
  readonly storeFailed: (operation: string, error: unknown) => void;
}

const UNTIL_IT_ARRIVES = 'what has committed is sent until it arrives, in the order of the commits or another';
const REFUSED = {
  attempts: UNTIL_IT_ARRIVES,
  ordered: UNTIL_IT_ARRIVES,
  unique:
    'each that commits is sent; let the transaction itself refuse the second one, by a unique key of its database',
} as const;
const OPTION_NAMES = [...PUBLISH_OPTION_NAMES.filter((name) => !(name in REFUSED)), 'timeout'];
const SWALLOWED =
  'The transaction was rolled back, though its end was reported as a success: an error was swallowed in it';
const COMMITTED = { outcome: 'committed' } as const;

type Ended = { readonly committed: true } | { readonly committed: false; readonly error: unknown };

/** Transactions that run, each from its record to its result. */
export class TransactionalSender implements TransactionalSending {
  private readonly running = new Set<string>();
  private closed = false;
  private idle: (() => void)[] = [];

  constructor(private readonly parts: SenderParts) {}

  /** Those whose local transaction has not come to its end. */
  get runningIds(): ReadonlySet<string> {
    return this.running;
  }

  check(route: string, work: unknown, options: TransactionOptions): number {
    const proven = isProven(work);
    if (typeof work !== 'function' && !proven)
      throw new InvalidOptionError('localTx', work, 'a function that runs the local transaction');
    if (typeof options !== 'object' || options === null)
      throw new InvalidOptionError('options', options, 'an object of publish options and «timeout»');
    for (const [refused, why] of Object.entries(REFUSED))
      if (refused in options)
        throw new InvalidOptionError(
          refused,
          (options as Record<string, unknown>)[refused],
          `nothing for publishInTransaction: ${why}`,
        );
    knownKeys('options', options, OPTION_NAMES);
    const { checkers } = this.parts;
    if (proven && !checkers.isProven(route))
      throw new InvalidOptionError(
        'route',
        route,
        `one of the «routes» of transactions.commitStatus${others(checkers.routes)}`,
      );
    if (!proven && checkers.isProven(route))
      throw new InvalidOptionError(
        'localTx',
        work,
        `${checkers.wrapper}, since transactions.commitStatus has the route ${route}`,
      );
    if (!proven && !checkers.has(route))
      throw new InvalidOptionError(
        'route',
        route,
        `a route with a check-back, as after a crash nobody could say whether the transaction committed: write a method @CheckTransaction('${route}') in a provider${others(checkers.routes)}`,
      );
    return options.timeout === undefined ? this.parts.timeout : checkTimeout('timeout', options.timeout);
  }

  async send(publication: Publication, work: LocalTransactionWork, timeoutMs: number): Promise<Receipt> {
    const { settling, clock, most } = this.parts;
    if (this.closed) throw new PublisherClosedError('The publisher is closed: the application is shutting down');
    if (this.running.size + settling.size >= most)
      throw new RetryQueueFullError(`${most} transactions have no result yet; this one was not begun`);
    const record = recordOf(publication, timeoutMs, clock.now());
    this.running.add(record.id);
    // One that proves itself is written down in its transaction, with its proof.
    if (typeof work === 'function') {
      try {
        await this.prepare(record);
      } catch (error) {
        this.ended(record.id);
        publication.trace?.failed(error);
        throw error;
      }
    }
    return this.run(record, publication, work);
  }

  /** Nothing begins any more. */
  close(): void {
    this.closed = true;
  }

  /** Resolves when no local transaction runs. */
  async drained(): Promise<void> {
    while (this.running.size > 0) await new Promise<void>((resolve) => this.idle.push(resolve));
  }

  private async prepare(record: NewTransactionRecord): Promise<void> {
    const { store, owner, settling, grace, storeFailed } = this.parts;
    try {
      await store.prepare(record, owner);
      storeFailed('prepare', undefined);
    } catch (error) {
      // It may have been written all the same: then it is asked about, and goes.
      settling.add(record.id, record.timeoutMs + grace);
      storeFailed('prepare', error);
      throw error instanceof MessagingError
        ? error
        : new TransactionRecordError(`The record could not be written: ${errorMessage(error)}`, { cause: error });
    }
  }

  /** Whoever waits is told when the transaction has ended, or that it is overdue; it is seen to its end in either case. */
  private run(unproven: NewTransactionRecord, publication: Publication, work: LocalTransactionWork): Promise<Receipt> {
    const { settling, checkers, clock, grace } = this.parts;
    const { id, timeoutMs, preparedAt } = unproven;
    let record = unproven;
    const began = clock.monotonic();
    return new Promise((resolve, reject) => {
      const controller = new AbortController();
      const overdue = (): void => {
        settling.add(id, 0);
        reject(
          new TransactionUnknownError(
            id,
            `The local transaction ${id} has not ended ${grace} ms after its timeout; it is asked what became of it`,
          ),
        );
      };
      const timedOut = (): void => {
        cancel = clock.after(grace, overdue, { background: true });
        controller.abort(new TransactionTimeoutError(`The local transaction takes longer than ${timeoutMs} ms`));
      };
      let cancel = clock.after(timeoutMs, timedOut, { background: true });
      const { signal } = controller;
      const prove = async (proof: string): Promise<void> => {
        // First: what is written down before that could be taken for another transaction, after a crash of its database.
        await checkers.keep();
        signal.throwIfAborted();
        record = recordOf(publication, timeoutMs, preparedAt, proof);
        await this.prepare(record);
        signal.throwIfAborted();
      };
      const begun = (): unknown =>
        typeof work === 'function' ? work({ id, signal }) : work.run({ id, signal }, prove);
      const ended = async (result: Ended): Promise<Receipt> => {
        cancel();
        try {
          if (result.committed && typeof work === 'function') return await settling.send(record, publication);
          return await this.asked(record, publication, result, began);
        } finally {
          this.ended(id);
        }
      };
      endOf(begun).then(ended).then(resolve, reject);
    });
  }

  /**
   * A rejection is no rollback: the answer to a commit may have been lost. So it is asked about now, for who waits; and once
   * more when the transaction must have ended, for only then a «rolled-back» is the last word, unless a database says it.
   */
  private async asked(
    record: NewTransactionRecord,
    publication: Publication,
    result: Ended,
    began: number,
  ): Promise<Receipt> {
    const { checkers, settling, clock, grace } = this.parts;
    const { id, route, timeoutMs } = record;
    const error = result.committed ? new TransactionRolledBackError(SWALLOWED) : result.error;
    const isProven = proofOf(record) !== undefined;
    if (checkers.isProven(route) && !isProven) {
      // It failed before it was written down: there was no transaction, or it is rolled back.
      publication.trace?.failed(error);
      throw error;
    }
    const answer = settling.wasSent(id) ? COMMITTED : await checkers.ask(record);
    if (answer.outcome === 'committed') return settling.send(record, publication);
    settling.add(id, isProven ? 0 : Math.max(0, began + timeoutMs + grace - clock.monotonic()));
    publication.trace?.failed(error);
    if (answer.outcome !== 'unknown') throw error;
    throw new TransactionUnknownError(
      id,
      `The local transaction ${id} ${result.committed ? 'ended' : 'failed'}, and it is not known whether it committed${result.committed ? '' : ' all the same'} (${answer.reason}); it is asked again${result.committed ? '' : `: ${errorMessage(error)}`}`,
      { cause: error },
    );
  }

  private ended(id: string): void {
    this.running.delete(id);
    if (this.running.size === 0) for (const resolve of this.idle.splice(0)) resolve();
  }
}

async function endOf(work: () => unknown): Promise<Ended> {
  try {
    await work();
    return { committed: true };
  } catch (thrown) {
    return { committed: false, error: thrownValue(thrown) };
  }
}

function isProven(work: unknown): work is ProvenTransaction {
  return typeof (work as ProvenTransaction | null | undefined)?.run === 'function';
}

function others(routes: readonly string[]): string {
  return routes.length === 0 ? '' : `; there are some for: ${routes.join(', ')}`;
}
