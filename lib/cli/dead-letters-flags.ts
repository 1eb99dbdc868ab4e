import type { DeadLetterConditions } from '../dead-letter/dead-letter-selection.js';
import { type Flag, type FlagValues, given, parseDuration, textOf, UsageError } from './flags.js';

/** What dead letters are selected by. */
export const FILTERS: readonly Flag[] = [
  { name: 'id', value: 'id', what: 'those with this id; can be repeated', multiple: true },
  { name: 'route', value: 'pattern', what: 'of this route, or of those that fit this pattern: order.*' },
  { name: 'reason', value: 'reason', what: 'given up for this reason: attempts-exhausted, unrecoverable, …' },
  { name: 'error', value: 'name', what: 'whose error has this class or code' },
  {
    name: 'older-than',
    value: 'age',
    what: 'given up longer ago: 90s, 30m, 2h, 7d; or before a time: 2026-11-21T16:00:00Z',
  },
  { name: 'newer-than', value: 'age', what: 'given up since' },
  { name: 'header', value: 'name=value', what: 'with this header; can be repeated, all must fit', multiple: true },
];

/** How options of the library are called here. */
export const OPTION_NAMES: Readonly<Record<string, string>> = {
  limit: '--limit',
  offset: '--offset',
  'selection.ids': '--id',
  'selection.route': '--route',
  'selection.reason': '--reason',
  'selection.error': '--error',
  'selection.olderThan': '--older-than',
  'selection.newerThan': '--newer-than',
  'redrive.limit': '--limit',
  'redrive.rateLimit': '--rate',
  'redrive.canary': '--canary',
  'redrive.canary.stages': '--canary-stages',
  'redrive.canary.window': '--canary-window',
  'redrive.maxFailureRate': '--max-failure-rate',
  'retryQueue.directory': '--retry-queue',
  'retryQueue.destination': '--destination',
  dataDir: '--data-dir',
  'sqliteDeadLetterArchive.file': '--archive',
};

export const JSON_FLAG: Flag = { name: 'json', what: 'as JSON' };

/** @throws UsageError */
export function conditionsOf(values: FlagValues): DeadLetterConditions {
  const headers = (values.header as string[] | undefined)?.map((text) => {
    const at = text.indexOf('=');
    if (at < 1) throw new UsageError('--header takes name=value');
    return [text.slice(0, at), text.slice(at + 1)] as const;
  });
  return given({
    ids: values.id,
    route: textOf(values, 'route'),
    reason: textOf(values, 'reason'),
    error: textOf(values, 'error'),
    olderThan: age(values, 'older-than'),
    newerThan: age(values, 'newer-than'),
    headers: headers && Object.fromEntries(headers),
  });
}

function age(values: FlagValues, name: string): number | Date | undefined {
  const text = textOf(values, name);
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  const time = new Date(text);
  if (!/^\d{4}-\d\d-\d\d/.test(text) || Number.isNaN(time.getTime()))
    throw new UsageError(`--${name} takes an age, such as 90s, 30m, 2h or 7d, or a time, such as 2026-11-21T16:00:00Z`);
  return time;
}

/** A number that need not be whole. @throws UsageError */
export function decimal(values: FlagValues, name: string): number | undefined {
  const text = textOf(values, name);
  if (text === undefined) return undefined;
  if (!/^\d{1,12}(\.\d{1,6})?$/.test(text)) throw new UsageError(`--${name} takes a number`);
  return Number(text);
}
