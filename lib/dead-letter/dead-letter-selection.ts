import { InvalidOptionError } from '../errors/configuration-errors.js';
import { checkPattern, knownKeys } from '../errors/option-checks.js';
import { booleanResult } from '../errors/result-checks.js';
import type { Headers } from '../message/headers.js';
import { compilePattern, wordsOf } from '../transport/topic-pattern.js';
import type { DeadLetter } from './dead-letter.js';

/** Which dead letters are meant. All conditions must hold; none given means all. */
export interface DeadLetterSelection extends DeadLetterConditions {
  /** A subscription of this process, by its name (its route, where it has no `name`). Default: all of them, and the publisher's own. */
  readonly subscription?: string;
  /** Dead-letter queues by their names, whoever's they are. */
  readonly queue?: string | readonly string[];
}

/** What a dead letter is selected by. */
export interface DeadLetterConditions {
  readonly ids?: readonly string[];
  /** The route the message was published with, or a pattern of such routes. */
  readonly route?: string;
  readonly reason?: string;
  /** The class or the code of the dead letter's error. */
  readonly error?: string;
  /** Given up more than so many milliseconds ago, or before that time. One whose time is unknown is neither old nor new. */
  readonly olderThan?: number | Date;
  /** Given up less than so many milliseconds ago, or after that time. */
  readonly newerThan?: number | Date;
  /** Headers that the dead letter has, with these values; `7` and `'7'` are the same. */
  readonly headers?: Readonly<Record<string, string | number | boolean>>;
  /** Any further condition. */
  readonly where?: (deadLetter: DeadLetter) => boolean;
}

/** A page of what is selected. */
export interface DeadLetterPage {
  /** The most that are listed. Default 100. */
  readonly limit?: number;
  /** So many of the selected ones are passed over. Default 0. */
  readonly offset?: number;
}

export type DeadLetterMatcher = (deadLetter: DeadLetter) => boolean;

const PLACES = ['subscription', 'queue'];
const CONDITIONS = ['ids', 'route', 'reason', 'error', 'olderThan', 'newerThan', 'headers', 'where'] as const;

/** Whether anything but the place is said. */
export function hasCondition(selection: DeadLetterConditions): boolean {
  return CONDITIONS.some((name) => selection[name] !== undefined);
}

/** Checks the selection; what that says of ages counts from `now`. @throws InvalidOptionError */
export function compileSelection(selection: DeadLetterSelection, now: number, more: string[] = []): DeadLetterMatcher {
  knownKeys('selection', selection, [...PLACES, ...CONDITIONS, ...more]);
  const { ids, route, reason, error, headers, where } = selection;
  if (selection.subscription !== undefined && selection.queue !== undefined)
    throw new InvalidOptionError(
      'selection.queue',
      'given together with subscription',
      'one of them: subscription for those of this process, queue for any',
    );
  for (const name of ['subscription', 'route', 'reason', 'error'] as const)
    checkText(`selection.${name}`, selection[name]);
  checkTexts('selection.ids', ids);
  checkTexts('selection.queue', typeof selection.queue === 'string' ? [selection.queue] : selection.queue);
  if (where !== undefined && typeof where !== 'function')
    throw new InvalidOptionError('selection.where', where, 'a function of a dead letter');
  const { oldest, newest } = checkAges(selection, now);
  const wanted = ids && new Set(ids);
  const routed = route === undefined ? undefined : compilePattern(checkPattern('selection.route', route));
  const told = checkHeaders(headers);
  return (letter) =>
    (!wanted || wanted.has(letter.id)) &&
    (!routed || routed(wordsOf(letter.route))) &&
    (reason === undefined || letter.reason === reason) &&
    (error === undefined || letter.error.class === error || letter.error.code === error) &&
    (newest === undefined || (letter.time !== undefined && letter.time < newest)) &&
    (oldest === undefined || (letter.time !== undefined && letter.time > oldest)) &&
    told.every(([name, value]) => textOf(letter.headers, name) === value) &&
    (!where || booleanResult('«selection.where»', where(letter)));
}

/** A header as text; undefined where it is none that can be compared. */
function textOf(headers: Headers, name: string): string | undefined {
  const value = Object.hasOwn(headers, name) ? headers[name] : undefined;
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined;
}

function checkAges(
  { olderThan, newerThan }: DeadLetterConditions,
  now: number,
): { readonly oldest?: number; readonly newest?: number } {
  const newest = timeOf('selection.olderThan', olderThan, now);
  const oldest = timeOf('selection.newerThan', newerThan, now);
  if (newest !== undefined && oldest !== undefined && oldest >= newest)
    throw new InvalidOptionError(
      'selection.newerThan',
      'not before olderThan',
      'a time or age that leaves something between the two: none can be both',
    );
  return { oldest, newest };
}

function timeOf(option: string, given: unknown, now: number): number | undefined {
  if (given === undefined) return undefined;
  const time = given instanceof Date ? given.getTime() : typeof given === 'number' && given >= 0 ? now - given : NaN;
  if (!Number.isFinite(time))
    throw new InvalidOptionError(option, given, 'a number of milliseconds ago, 0 or more, or a valid Date');
  return time;
}

function checkText(option: string, value: unknown): void {
  if (value !== undefined && (typeof value !== 'string' || value === ''))
    throw new InvalidOptionError(option, value, 'a text that is not empty');
}

function checkTexts(option: string, value: unknown): void {
  if (value !== undefined && (!Array.isArray(value) || value.some((one) => typeof one !== 'string')))
    throw new InvalidOptionError(option, value, 'a list of texts');
}

function checkHeaders(headers: DeadLetterConditions['headers'] = {}): (readonly [string, string])[] {
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers))
    throw new InvalidOptionError('selection.headers', headers, 'an object of values by the name of their header');
  return Object.entries(headers).map(([name, value]) => {
    if (!['string', 'number', 'boolean'].includes(typeof value))
      throw new InvalidOptionError(`selection.headers['${name}']`, value, 'a text, a number, true or false');
    return [name, String(value)] as const;
  });
}
