import { InvalidOptionError } from '../errors/configuration-errors.js';
import { loadPeer } from '../errors/optional-peer.js';
import { errorMessage } from '../errors/redact.js';

/** The times of an expression, in milliseconds since the epoch. */
export interface CronTimes {
  /** The first one after `time`; undefined: there is none any more. */
  next(time: number): number | undefined;
  /** The last ones up to `time`, the newest first. */
  last(time: number, most: number): number[];
}

/** All that is used of `croner`. */
interface Cron {
  nextRun(after: Date): Date | null;
  previousRuns(most: number, before: Date): Date[];
}

interface Croner {
  readonly Cron: new (expression: string, options: { readonly timezone: string; readonly paused: true }) => Cron;
}

/** @throws MissingPeerError, and InvalidOptionError for an expression or a time zone that is none */
export async function cronTimes(cron: string, timeZone: string, now: number): Promise<CronTimes> {
  const { Cron } = (await loadPeer(
    { name: 'croner', range: '^11.0.0', neededBy: '@Recurring' },
    () => import('croner'),
  )) as unknown as Croner;
  if (!isTimeZone(timeZone))
    throw new InvalidOptionError('Recurring.timeZone', timeZone, "an IANA time zone, such as 'Europe/Berlin' or 'UTC'");
  const times = parsed(() => new Cron(cron, { timezone: timeZone, paused: true }), cron);
  if (times.nextRun(new Date(now)) === null)
    throw new InvalidOptionError(
      'Recurring.cron',
      cron,
      'an expression for a time that is still to come: this has none',
    );
  return {
    next: (time) => times.nextRun(new Date(time))?.getTime(),
    // Runs before a time are asked for, in whole seconds.
    last: (time, most) => times.previousRuns(most, new Date(Math.floor(time / 1_000) * 1_000 + 1_000)).map(Number),
  };
}

function parsed(parse: () => Cron, cron: string): Cron {
  try {
    return parse();
  } catch (error) {
    throw new InvalidOptionError(
      'Recurring.cron',
      cron,
      `a cron expression of five fields, or six with seconds first, such as '0 3 * * *': ${errorMessage(error)}`,
    );
  }
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
