import { InvalidOptionError } from '../errors/configuration-errors.js';
import { integerBetween, knownKeys, numberBetween } from '../errors/option-checks.js';
import type { DeadLetterArchiveFactory } from './dead-letter-archive.js';
import type { AlertsOptions } from './dead-letter-alerts.js';
import type { DeadLetterLimits } from './dead-letter-place.js';

const LARGEST = Number.MAX_SAFE_INTEGER;
const LONGEST = 2 ** 31 - 1;

/** What is done with dead letters beyond keeping them in their queues. */
export interface DeadLettersOptions extends DeadLetterLimits {
  /** Moves the dead letters of this process's subscriptions into an archive: `sqliteDeadLetterArchive({ file })`. Default: none. */
  readonly archive?: DeadLetterArchiveFactory;
  /**
   * Milliseconds between two looks: for dead letters to be archived, for archived ones that may be tried again, for those
   * that are too old or too many, and for alerts. Default 60,000.
   */
  readonly interval?: number;
  /**
   * Milliseconds after which a dead letter is deleted, wherever it is: in the queues of this process's subscriptions, the
   * archive, the publisher's own. Default: never.
   */
  readonly maxAge?: number;
  /** The most that are kept in each of these places; the oldest are deleted. Default: any number. */
  readonly maxCount?: number;
}

export type ResolvedDeadLetters = Required<Pick<DeadLettersOptions, 'interval'>> & DeadLettersOptions;

/** @throws InvalidOptionError */
export function resolveDeadLetters(
  options: DeadLettersOptions,
  alerts: AlertsOptions | undefined,
): ResolvedDeadLetters {
  knownKeys('deadLetters', options, ['archive', 'interval', 'maxAge', 'maxCount']);
  const { archive, interval } = options;
  if (archive !== undefined && typeof archive?.create !== 'function')
    throw new InvalidOptionError('deadLetters.archive', archive, 'sqliteDeadLetterArchive({ file })');
  const limits = resolveLimits(options);
  if (interval !== undefined && archive === undefined && Object.keys(limits).length === 0 && alerts === undefined)
    throw new InvalidOptionError(
      'deadLetters.interval',
      interval,
      'nothing without deadLetters.archive, maxAge, maxCount or alerts: give one',
    );
  return {
    ...(archive && { archive }),
    ...limits,
    interval: numberBetween('deadLetters.interval', interval ?? 60_000, 1, LONGEST),
  };
}

/** @throws InvalidOptionError */
export function resolveLimits({ maxAge, maxCount }: DeadLetterLimits): DeadLetterLimits {
  return {
    ...(maxAge !== undefined && { maxAge: numberBetween('deadLetters.maxAge', maxAge, 1, LARGEST) }),
    ...(maxCount !== undefined && { maxCount: integerBetween('deadLetters.maxCount', maxCount, 0, LARGEST) }),
  };
}

/** @throws InvalidOptionError */
export function resolveAlerts(options: AlertsOptions): AlertsOptions {
  knownKeys('alerts', options, ['deadLetters', 'oldest', 'onAlert']);
  const { deadLetters, oldest, onAlert } = options;
  if (deadLetters === undefined && oldest === undefined)
    throw new InvalidOptionError('alerts', options, 'deadLetters: { above, within }, oldest, or both');
  if (oldest !== undefined) numberBetween('alerts.oldest', oldest, 1, LARGEST);
  if (onAlert !== undefined && typeof onAlert !== 'function')
    throw new InvalidOptionError('alerts.onAlert', onAlert, 'a function of an alert');
  if (deadLetters !== undefined) {
    knownKeys('alerts.deadLetters', deadLetters, ['above', 'within']);
    integerBetween('alerts.deadLetters.above', deadLetters.above, 0, LARGEST);
    if (deadLetters.within !== undefined) numberBetween('alerts.deadLetters.within', deadLetters.within, 1, LONGEST);
  }
  return options;
}
