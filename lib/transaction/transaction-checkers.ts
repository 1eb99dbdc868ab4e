import type { Clock } from '../clock/clock.js';
import { SubscriptionConflictError } from '../errors/configuration-errors.js';
import { errorMessage } from '../errors/redact.js';
import { typeOfResult } from '../errors/result-checks.js';
import { thrownValue } from '../errors/thrown-value.js';
import type { Serializer } from '../message/serializer.js';
import { payloadOf } from '../pipeline/decode.js';
import { messageOf } from './kept-message.js';
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

  constructor(
    private readonly serializer: Serializer,
    private readonly clock: Clock,
  ) {}

  get routes(): string[] {
    return [...this.byRoute.keys()];
  }

  has(route: string): boolean {
    return this.byRoute.has(route);
  }

  /** @throws SubscriptionConflictError: one route, one method */
  add(checker: TransactionChecker): void {
    const { route, place } = checker;
    const other = this.byRoute.get(route);
    if (other)
      throw new SubscriptionConflictError(
        `${place} and ${other.place} both have @CheckTransaction('${route}'): which of them knows? Leave it to one`,
      );
    this.byRoute.set(route, checker);
  }

  /** It never rejects: who throws, or says nothing, does not know. */
  async ask(record: NewTransactionRecord & { readonly checks?: number }): Promise<TransactionAnswer> {
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

  private answered(asked: Promise<unknown>): Promise<{ readonly value: unknown } | undefined> {
    return new Promise((resolve, reject) => {
      const cancel = this.clock.after(ANSWER_TIMEOUT_MS, () => resolve(undefined), { background: true });
      asked.finally(cancel).then((value) => resolve({ value }), reject);
    });
  }
}

function unknown(reason: string): TransactionAnswer {
  return { outcome: 'unknown', reason };
}
