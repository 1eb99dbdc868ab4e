import { InvalidOptionError } from '../errors/configuration-errors.js';
import { invalidResult } from '../errors/result-checks.js';

/**
 * How long to wait before the next handler call, in milliseconds; `false`: no further call, dead-letter it.
 * `attempt` is the number of the call that failed, 1 for the first.
 */
export type Backoff = (attempt: number, error: unknown) => number | false;

/** A longer wait than any broker's own delay would be refused when it is needed; it is cut to this (a bit under 25 days). */
const MAX_WAIT_MS = 2 ** 31 - 1;

/** A wait in whole milliseconds that every broker and clock takes. */
export function boundedWait(ms: number): number {
  return Math.min(MAX_WAIT_MS, Math.max(0, Math.round(ms)));
}

/** What the backoff of this option asks for. @throws what the backoff throws, and InvalidResultError for one that gives no number */
export function askedWait(option: string, backoff: Backoff, attempt: number, error: unknown): number | false {
  const wanted: unknown = backoff(attempt, error);
  if (wanted === false) return false;
  if (typeof wanted === 'number' && !Number.isNaN(wanted)) return boundedWait(wanted);
  throw invalidResult(
    `«${option}»`,
    wanted,
    'a number of milliseconds (0 or less: at once), or false for no further call',
  );
}

/** A backoff as data, so that it can be kept with a message. */
export type BackoffSchedule =
  | { readonly kind: 'fixed'; readonly ms: number }
  | ({ readonly kind: 'exponential' } & Required<Omit<ExponentialOptions, 'random'>>);

/** On the function itself: it can be another copy of the package that asks. */
const SCHEDULE = Symbol.for('nestjs-messaging:backoff-schedule');

/** What `exponential` or `fixed` was called with; undefined for a function of the application's own. */
export function scheduleOf(backoff: Backoff): BackoffSchedule | undefined {
  return (backoff as { readonly [SCHEDULE]?: BackoffSchedule })[SCHEDULE];
}

/** The wait after the failure of this number, in milliseconds. */
export function waitAfter(schedule: BackoffSchedule, attempt: number): number {
  return (schedule.kind === 'fixed' ? fixed(schedule.ms) : exponential(schedule))(attempt, undefined) as number;
}

function described(schedule: BackoffSchedule, backoff: Backoff): Backoff {
  return Object.defineProperty(backoff, SCHEDULE, { value: schedule });
}

export interface ExponentialOptions {
  /** Milliseconds before the second call. Default 1,000. */
  readonly initial?: number;
  /** Each wait is the one before times this. Default 4. */
  readonly factor?: number;
  /** No wait is longer, in milliseconds. Default 600,000 (ten minutes). */
  readonly max?: number;
  /** Each wait is varied at random by up to this share, up or down: 0…1. Default 0.2. */
  readonly jitter?: number;
  /** `[0, 1)`, for tests. Default `Math.random`. */
  readonly random?: () => number;
}

/** Waits that grow by a factor up to a limit, each with jitter, so that a crowd of failures does not come back as a crowd. */
export function exponential(options: ExponentialOptions = {}): Backoff {
  const { initial = 1_000, factor = 4, max = 600_000, jitter = 0.2, random = Math.random } = options;
  check('initial', initial, initial >= 0, 'a number of milliseconds, 0 or more');
  check('factor', factor, factor >= 1, 'a number, 1 or more');
  check('max', max, max >= initial, 'a number of milliseconds, not below «initial»');
  check('jitter', jitter, jitter >= 0 && jitter <= 1, 'a number from 0 to 1');
  return described({ kind: 'exponential', initial, factor, max, jitter }, (attempt) => {
    const wait = initial === 0 ? 0 : initial * factor ** (attempt - 1);
    const shortest = Math.min(max, wait) * (1 - jitter);
    const longest = Math.min(max, wait * (1 + jitter));
    return Math.round(shortest + random() * (longest - shortest));
  });
}

/** The same wait of `ms` milliseconds before every further call. */
export function fixed(ms: number): Backoff {
  check('ms', ms, ms >= 0, 'a number of milliseconds, 0 or more');
  return described({ kind: 'fixed', ms }, () => ms);
}

function check(name: string, value: number, valid: boolean, allowed: string): void {
  if (!Number.isFinite(value) || !valid) throw new InvalidOptionError(`backoff.${name}`, value, allowed);
}
