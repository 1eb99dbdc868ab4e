import { InvalidOptionError } from '../errors/configuration-errors.js';
import type { MessagingError } from '../errors/messaging-error.js';
import { checkBoolean, integerBetween, knownKeys, numberBetween } from '../errors/option-checks.js';

/** How a redrive is done. */
export interface RedriveOptions {
  /** Send nothing: only count what would be redriven. Default false. */
  readonly dryRun?: boolean;
  /** The most that are redriven. Default: all that are selected. */
  readonly limit?: number;
  /** The most in a second. Default: as fast as the broker confirms. */
  readonly rateLimit?: number;
  /** Send a few first, and the rest only when none of them failed again. `true` takes the defaults. Default false. */
  readonly canary?: boolean | CanaryOptions;
  /**
   * Stop when more than this part (0 to 1) of at least 20 has failed: copies that were not confirmed, and what came to the
   * dead-letter queues meanwhile, from the redrive or not. Default: only at 1,000 copies that were not confirmed.
   */
  readonly maxFailureRate?: number;
  /** Called after every batch (up to 25), and at the end. It must not throw. */
  readonly onProgress?: (progress: RedriveProgress) => void;
  /** Stops the redrive after the batch that is under way. */
  readonly signal?: AbortSignal;
}

export interface CanaryOptions {
  /** How many are sent in each stage, before the rest. Default `[1, 10]`. */
  readonly stages?: readonly number[];
  /** Milliseconds after each stage in which none of its messages may fail again. Default 10,000. */
  readonly window?: number;
}

/** A dead letter that was sent first. */
export interface Canary {
  readonly id: string;
  /**
   * `handled`: a handler of this process has handled it. `failed`: a handler of this process has failed again. `returned`: it
   * is in the dead letters again. `quiet`: neither was seen within the window; it may have been handled elsewhere, wait for a
   * retry, or lie in a queue that nobody consumes. `sent`: there was no time to judge it.
   */
  readonly fate: 'handled' | 'failed' | 'returned' | 'quiet' | 'sent';
}

/** How far a redrive is. */
export interface RedriveProgress {
  /** Looked at so far. */
  readonly examined: number;
  /** How many there were at the beginning, as the broker counted. */
  readonly total: number;
  readonly done: number;
  readonly failed: number;
  /** What is waited for: the verdict on canaries. */
  readonly waiting: boolean;
}

/** What `redrive` and `delete` did. */
export interface DeadLetterChange {
  /** Redriven or deleted. */
  readonly done: number;
  /** Selected, but kept because the copy was not confirmed; at most 1,000. */
  readonly failed: readonly { readonly id: string; readonly error: MessagingError }[];
}

export interface RedriveResult extends DeadLetterChange {
  /** Looked at. */
  readonly examined: number;
  /** Of those, selected: with `dryRun` what would have been sent. */
  readonly matched: number;
  /** Messages that came to the dead-letter queues while it ran, from the redrive or not. */
  readonly arrived: number;
  /** When the redrive began, in milliseconds since the epoch: `olderThan: new Date(startedAt)` leaves out what came since. */
  readonly startedAt: number;
  /** Why the redrive ended early. What it did not reach is where it was: the same call goes on. */
  readonly stopped?: 'aborted' | 'limit' | 'canary' | 'failure-rate';
  /** With `canary`: the dead letters that were sent first. */
  readonly canaries?: readonly Canary[];
}

export interface ResolvedRedrive {
  readonly dryRun: boolean;
  readonly limit: number;
  readonly rateLimit: number;
  readonly stages: readonly number[];
  readonly windowMs: number;
  readonly maxFailureRate: number;
  readonly onProgress?: (progress: RedriveProgress) => void;
  readonly signal?: AbortSignal;
}

const NAMES = ['dryRun', 'limit', 'rateLimit', 'canary', 'maxFailureRate', 'onProgress', 'signal'];
const MAX_STAGES = 10;
const MAX_STAGE = 1_000;
const MAX_WINDOW_MS = 86_400_000;

/** @throws InvalidOptionError */
export function resolveRedrive(options: RedriveOptions): ResolvedRedrive {
  knownKeys('redrive', options, NAMES);
  const { dryRun = false, limit, rateLimit, canary = false, maxFailureRate, onProgress, signal } = options;
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw new InvalidOptionError('redrive.onProgress', onProgress, 'a function');
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw new InvalidOptionError('redrive.signal', signal, 'an AbortSignal');
  const { stages, windowMs } = resolveCanary(canary);
  if (checkBoolean('redrive.dryRun', dryRun) && stages.length > 0)
    throw new InvalidOptionError(
      'redrive.canary',
      'given together with dryRun',
      'one of them: a dry run sends nothing',
    );
  return {
    dryRun,
    limit: limit === undefined ? Infinity : integerBetween('redrive.limit', limit, 1, Number.MAX_SAFE_INTEGER),
    rateLimit: rateLimit === undefined ? Infinity : numberBetween('redrive.rateLimit', rateLimit, 0.001, 1_000_000),
    stages,
    windowMs,
    maxFailureRate:
      maxFailureRate === undefined ? Infinity : numberBetween('redrive.maxFailureRate', maxFailureRate, 0, 1),
    ...(onProgress && { onProgress }),
    ...(signal && { signal }),
  };
}

function resolveCanary(canary: boolean | CanaryOptions): { stages: readonly number[]; windowMs: number } {
  if (canary === false) return { stages: [], windowMs: 0 };
  const options = canary === true ? {} : canary;
  knownKeys('redrive.canary', options, ['stages', 'window']);
  const { stages = [1, 10], window = 10_000 } = options;
  if (!Array.isArray(stages) || stages.length === 0 || stages.length > MAX_STAGES)
    throw new InvalidOptionError(
      'redrive.canary.stages',
      stages,
      `a list of 1 to ${MAX_STAGES} numbers, such as [1, 10]`,
    );
  stages.forEach((size) => integerBetween('redrive.canary.stages', size, 1, MAX_STAGE));
  return { stages, windowMs: numberBetween('redrive.canary.window', window, 1, MAX_WINDOW_MS) };
}
