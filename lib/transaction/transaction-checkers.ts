import type { Clock } from '../clock/clock.js';
import { SubscriptionConflictError } from '../errors/configuration-errors.js';
import { errorMessage } from '../errors/redact.js';
import { typeOfResult } from '../errors/result-checks.js';
import { thrownValue } from '../errors/thrown-value.js';
import type { Serializer } from '../message/serializer.js';
import { payloadOf } from '../pipeline/decode.js';
import { messageOf, proofOf } from './kept-message.js';
import type { CommitStatus, CommitStatusFactory } from './commit-status.js';
import type { TransactionInDoubt, TransactionOutcome } from './transaction-in-doubt.js';
import type { NewTransactionRecord } from './transaction-record.js';

/** A method with `@CheckTransaction`. */
export interface TransactionChecker {
  readonly route: string;
  /** `Orders.wasCreated`. */
  readonly place: string;
  ask(transaction: TransactionInDoubt): unknown;
}

/** What was answered; `reason`: why it is unknown. */
export type TransactionAnswer =
  { readonly outcome: 'committed' | 'rolled-back' } | { readonly outcome: 'unknown'; readonly reason: string };

/** One that takes longer has not answered. */
const ANSWER_TIMEOUT_MS = 30_000;
const OUTCOMES: readonly unknown[] = ['committed', 'rolled-back', 'unknown'] satisfies TransactionOutcome[];

/** Who can say what became of the transactions of a connection, by route. */
export class TransactionCheckers {
  private readonly byRoute = new Map<string, TransactionChecker>();
  /** Those whose local transactions prove themselves. */
  private readonly proven: ReadonlySet<string>;
  private readonly status: CommitStatus | undefined;
  /** How one is wrapped that proves itself, as code. */
  readonly wrapper: string | undefined;

  constructor(
    private readonly serializer: Serializer,
    private readonly clock: Clock,
    commitStatus?: CommitStatusFactory,
  ) {
    this.proven = new Set(commitStatus?.routes);
    this.status = commitStatus?.create({ clock });
    this.wrapper = commitStatus?.wrapper;
  }

  get routes(): string[] {
    return [...this.byRoute.keys(), ...this.proven];
  }

  /** Its local transactions have to prove themselves. */
  isProven(route: string): boolean {
    return this.proven.has(route);
  }

  has(route: string): boolean {
    return this.byRoute.has(route);
  }

  /** @throws SubscriptionConflictError: one route, one method */
  add(checker: TransactionChecker): void {
    const { route, place } = checker;
    if (this.proven.has(route))
      throw new SubscriptionConflictError(
        `${place} has @CheckTransaction('${route}'), and «transactions.commitStatus» has the route, too: which of them knows? Leave it to one`,
      );
    const other = this.byRoute.get(route);
    if (other)
      throw new SubscriptionConflictError(
        `${place} and ${other.place} both have @CheckTransaction('${route}'): which of them knows? Leave it to one`,
      );
    this.byRoute.set(route, checker);
  }

  /** What was proven so far stays so. */
  async keep(): Promise<void> {
    await this.status?.keep();
  }

  async close(): Promise<void> {
    await this.status?.close();
  }

  /** It never rejects: who throws, or says nothing, does not know. */
  async ask(record: NewTransactionRecord & { readonly checks?: number }): Promise<TransactionAnswer> {
    const proof = proofOf(record);
    if (proof !== undefined) return this.askDatabase(proof);
    const checker = this.byRoute.get(record.route);
    if (!checker) return unknown(`no method here has @CheckTransaction('${record.route}')`);
    try {
      const answer = await this.answered(Promise.resolve(checker.ask(this.inDoubt(record))));
      if (answer === undefined) return unknown(`${checker.place} gave no answer within ${ANSWER_TIMEOUT_MS} ms`);
      if (answer.value === 'unknown') return unknown(`${checker.place} does not know`);
      if (OUTCOMES.includes(answer.value)) return { outcome: answer.value as 'committed' | 'rolled-back' };
      const given = typeof answer.value === 'string' ? 'another text' : typeOfResult(answer.value);
      return unknown(`${checker.place} gave ${given}; allowed: 'committed', 'rolled-back' or 'unknown'`);
    } catch (thrown) {
      return unknown(`${checker.place} failed: ${errorMessage(thrownValue(thrown))}`);
    }
  }

  private async askDatabase(proof: string): Promise<TransactionAnswer> {
    if (!this.status) return unknown('its database knows, and there is no «transactions.commitStatus» to ask it with');
    try {
      const answer = await this.answered(this.status.ask(proof));
      if (answer === undefined) return unknown(`its database gave no answer within ${ANSWER_TIMEOUT_MS} ms`);
      const { outcome, reason = 'its database does not know' } = answer.value;
      return outcome === 'unknown' ? unknown(reason) : { outcome };
    } catch (thrown) {
      return unknown(`its database could not be asked: ${errorMessage(thrownValue(thrown))}`);
    }
  }

  private inDoubt(record: NewTransactionRecord & { readonly checks?: number }): TransactionInDoubt {
    const message = messageOf(record);
    return {
      id: record.id,
      messageId: message.id,
      route: record.route,
      body: payloadOf(message, this.serializer),
      headers: message.headers,
      preparedAt: new Date(record.preparedAt),
      checks: record.checks ?? 0,
    };
  }

  private answered<T>(asked: Promise<T>): Promise<{ readonly value: T } | undefined> {
    return new Promise((resolve, reject) => {
      const cancel = this.clock.after(ANSWER_TIMEOUT_MS, () => resolve(undefined), { background: true });
      asked.finally(cancel).then((value) => resolve({ value }), reject);
    });
  }
}

function unknown(reason: string): TransactionAnswer {
  return { outcome: 'unknown', reason };
}
