import { InvalidOptionError } from '../errors/configuration-errors.js';
import {
  InvalidResultError,
  MissingOutcomeError,
  RetryLaterError,
  UndecodableMessageError,
  UnrecoverableError,
  RefusedError,
} from '../errors/handling-errors.js';
import { functions, knownKeys } from '../errors/option-checks.js';
import { Outcome } from '../pipeline/outcome.js';
import type { Wait } from '../transport/topology.js';
import {
  askedWait,
  type Backoff,
  type BackoffSchedule,
  boundedWait,
  exponential,
  fixed,
  scheduleOf,
} from './backoff.js';

type ErrorClass = abstract new (...args: never[]) => unknown;

/** The handler retry: what happens after a handler call has failed. */
export interface RetryOptions {
  /** Handler calls in all, the first included; at least 1. Default 8. */
  readonly attempts?: number;
  /** The first so many retries come at once, without backoff. Default 0. */
  readonly immediate?: number;
  /** Waiting time before the others: `exponential({…})`, `fixed(ms)`, a number of milliseconds, or `(attempt, error) => ms | false`. */
  readonly backoff?: Backoff | number;
  /** Errors of these classes go straight to the dead-letter queue. */
  readonly unrecoverable?: readonly ErrorClass[];
  /** When given, only errors of these classes are retried. */
  readonly only?: readonly ErrorClass[];
}

/** Errors that say themselves that trying again cannot help. */
const NEVER_REPEATED: readonly ErrorClass[] = [UnrecoverableError, RefusedError, InvalidResultError];

/** Decides, without side effects, what a failed handler call leads to. */
export class RetryPolicy {
  /** Handler calls in all. */
  readonly attempts: number;
  private readonly immediate: number;
  private readonly backoff: Backoff;
  private readonly unrecoverable: readonly ErrorClass[];
  private readonly only: readonly ErrorClass[] | undefined;

  /** `retry: false` is one call and no retry. @throws InvalidOptionError */
  constructor(options: RetryOptions | false) {
    if (options !== false) knownKeys('retry', options, ['attempts', 'immediate', 'backoff', 'unrecoverable', 'only']);
    const {
      attempts = 8,
      immediate = 0,
      backoff = exponential(),
      unrecoverable = [],
      only,
    } = options === false ? { attempts: 1 } : options;
    if (!Number.isInteger(attempts) || attempts < 1)
      throw new InvalidOptionError('retry.attempts', attempts, 'a whole number, 1 or more');
    if (!Number.isInteger(immediate) || immediate < 0)
      throw new InvalidOptionError('retry.immediate', immediate, 'a whole number, 0 or more');
    if (immediate > Math.max(0, attempts - 1))
      throw new InvalidOptionError(
        'retry.immediate',
        immediate,
        `at most ${attempts - 1}, the retries that ${attempts} «attempts» leave. Raise «attempts» or lower «immediate»`,
      );
    if (typeof backoff !== 'function' && typeof backoff !== 'number') {
      throw new InvalidOptionError(
        'retry.backoff',
        backoff,
        'exponential({…}), fixed(ms), a number of milliseconds, or a function',
      );
    }
    this.attempts = attempts;
    this.immediate = immediate;
    this.backoff = typeof backoff === 'number' ? fixed(backoff) : backoff;
    this.unrecoverable = classes('retry.unrecoverable', unrecoverable);
    this.only = only && classes('retry.only', only);
    const both = this.only?.find((type) => this.unrecoverable.includes(type));
    if (both)
      throw new InvalidOptionError(
        'retry.only',
        both.name,
        'a class that is not among «unrecoverable» as well: take it out of one of them',
      );
  }

  /** @throws what a backoff function throws, and InvalidResultError for one that gives no number */
  outcomeOf(error: unknown, attempt: number): Outcome {
    if (error instanceof UndecodableMessageError) return Outcome.deadLetter('undecodable', error);
    if (this.isUnrecoverable(error)) return Outcome.deadLetter('unrecoverable', error);
    if (attempt >= this.attempts) return Outcome.deadLetter('attempts-exhausted', error);
    const delayMs = this.delayMs(error, attempt);
    return delayMs === false ? Outcome.deadLetter('attempts-exhausted', error) : Outcome.retry(delayMs, error);
  }

  /**
   * The longest wait before each retry, in milliseconds; undefined where a function of the application's own decides. What
   * RetryLaterError asks for is not in it.
   */
  longestWaits(): readonly number[] | undefined {
    const schedule = scheduleOf(this.backoff);
    if (!schedule) return undefined;
    return Array.from({ length: this.attempts - 1 }, (_, at) =>
      at < this.immediate ? 0 : longestWait(schedule, at + 1 - this.immediate),
    );
  }

  /**
   * Every wait that it can ask for by itself, from … to, and half of it, for some of it may be over when the copy is sent;
   * empty where a function of the application's own decides.
   */
  waits(): readonly Wait[] {
    const schedule = scheduleOf(this.backoff);
    const jitter = schedule?.kind === 'exponential' ? schedule.jitter : 0;
    return (schedule ? (this.longestWaits() ?? []) : [])
      .filter((longest) => longest > 0)
      .map((longest) => [Math.max(1, (longest * (1 - jitter)) / (1 + jitter) / 2), longest]);
  }

  /** The policy as data, for documents; a function of the application's own is `custom`. */
  describe(): Readonly<Record<string, unknown>> {
    const { attempts, immediate, unrecoverable, only } = this;
    const backoff = attempts > 1 ? (scheduleOf(this.backoff) ?? 'custom') : undefined;
    const names = (types: readonly ErrorClass[] = []): string[] | undefined =>
      types.length > 0 ? types.map(({ name }) => name).sort() : undefined;
    return {
      attempts,
      ...(immediate > 0 && { immediate }),
      backoff,
      unrecoverable: names(unrecoverable),
      only: names(only),
    };
  }

  /** What application code decided itself stays within the attempts, too. */
  limit(outcome: Outcome, attempt: number): Outcome {
    if (outcome.type !== 'retry' || attempt < this.attempts) return outcome;
    return Outcome.deadLetter('attempts-exhausted', outcome.error);
  }

  /** Whether such a failure is a reason to call the handler again, as long as attempts are left. */
  repeats(error: unknown): boolean {
    return !(error instanceof UndecodableMessageError) && !this.isUnrecoverable(error);
  }

  private isUnrecoverable(error: unknown): boolean {
    if (isOneOf(NEVER_REPEATED, error) || isOneOf(this.unrecoverable, error)) return true;
    // These two say themselves that the call is to be retried.
    if (error instanceof RetryLaterError || error instanceof MissingOutcomeError) return false;
    return this.only !== undefined && !isOneOf(this.only, error);
  }

  private delayMs(error: unknown, attempt: number): number | false {
    // An error is no option: one without a number asks for the next call at once.
    if (error instanceof RetryLaterError) return boundedWait(Number(error.delayMs) || 0);
    if (attempt <= this.immediate) return 0;
    return askedWait('retry.backoff', this.backoff, attempt - this.immediate, error);
  }
}

/** A class can have an `instanceof` of its own, which may throw. */
function isOneOf(types: readonly ErrorClass[], error: unknown): boolean {
  return types.some((type) => {
    try {
      return error instanceof type;
    } catch {
      return false;
    }
  });
}

function longestWait(schedule: BackoffSchedule, attempt: number): number {
  if (schedule.kind === 'fixed') return schedule.ms;
  const { initial, factor, max, jitter } = schedule;
  return Math.min(max, Math.round((initial === 0 ? 0 : initial * factor ** (attempt - 1)) * (1 + jitter)));
}

function classes(option: string, value: readonly ErrorClass[]): readonly ErrorClass[] {
  return functions(option, value, 'an array of error classes');
}
