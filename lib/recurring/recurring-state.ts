import { type Change, CLOCKS_DIFFER_MS } from '../coordination/coordination-store.js';
import type { CronTimes } from './cron-times.js';
import type { MissedPolicy } from './recurring-options.js';

/** What the processes remember of one recurring message. Times are milliseconds since the epoch, of the store's clock. */
interface RecurringState {
  /** Expression and time zone. */
  readonly spec: string;
  /** All times up to here are published, or passed over. */
  readonly done: number;
  /** The time that is being published, by whom, and until when he may. */
  readonly fire?: number;
  readonly token?: string;
  readonly until?: number;
}

/** What a process is to do next. */
export type Turn = TurnNote &
  /** Look again in `waitMs`. */
  (
    | { readonly waitMs: number }
    /** Publish for this time. */
    | { readonly at: number }
  );

interface TurnNote {
  readonly note?: string;
  /** What is told of times before this one, or of who had it. */
  readonly outcome?: 'taken-over' | 'passed-over';
}

/** What is said of one recurring message. */
export interface Recurrence {
  readonly spec: string;
  readonly times: CronTimes;
  readonly missed: MissedPolicy;
}

/** So long a process that publishes is waited for, in milliseconds. */
export const LEASE_MS = 10_000;
/** The longest time without a look: by then a clock that was set is noticed. */
const LONGEST_WAIT_MS = 60_000;
/** With `skip`, what is later than this is passed over. */
const LATE_MS = 60_000;
/** The most missed times that are published. */
const MOST_MISSED = 100;
/** A last time that is so far ahead of the clock was told by one that went wrong. */
const AHEAD_MS = 3_600_000;
const KEEP_MS = 3_650 * 86_400_000;

/** A process starts: what was there is gone on with; an expression that is new counts from now on. */
export function begin({ spec }: Recurrence): Change<string | undefined> {
  return (text, now) => {
    const state = read(text);
    if (!state) return write(undefined, { spec, done: now });
    if (state.spec === spec) return { result: undefined };
    return write(`changed from ${state.spec}`, { ...state, spec, done: Math.max(state.done, now) });
  };
}

/** Takes the next time that is due, if there is one and nobody has it; `counted`: what was missed is not too much. */
export function take(token: string, recurrence: Recurrence, counted: boolean): Change<Turn> {
  return (text, now) => {
    const state = read(text) ?? { spec: recurrence.spec, done: now };
    const { fire, until = 0 } = state;
    // A lease that ends later than any can was given before the clock was set back.
    if (fire !== undefined && until > now && until <= now + LEASE_MS + CLOCKS_DIFFER_MS)
      return { result: { waitMs: Math.min(until - now, LONGEST_WAIT_MS) } };
    if (fire !== undefined)
      return write(
        { at: fire, note: 'the process that had it did not end it', outcome: 'taken-over' },
        claimed(state, fire, token, now),
      );
    if (state.done > now + AHEAD_MS)
      return write(
        { waitMs: 0, note: `was done up to ${iso(state.done)}, which is still to come: the clock was wrong` },
        { ...state, done: now },
      );
    const { at, passed } = due(state.done, now, recurrence, counted);
    const told: TurnNote = passed ? { note: 'passes over times that were missed', outcome: 'passed-over' } : {};
    if (at !== undefined) return write({ at, ...told }, claimed(state, at, token, now));
    const next = recurrence.times.next(Math.max(state.done, now)) ?? Infinity;
    const result: Turn = { waitMs: Math.min(next - now, LONGEST_WAIT_MS), ...told };
    if (passed) return write(result, { ...state, done: now });
    return text === undefined ? write(result, state) : { result };
  };
}

/** Lengthens the time that `token` has; false: somebody else has it. */
export function renew(token: string): Change<boolean> {
  return (text, now) => {
    const state = read(text);
    if (state?.token !== token || state.fire === undefined) return { result: false };
    return write(true, claimed(state, state.fire, token, now));
  };
}

/** The time of `token` is over: published (`done`), or free for the next one. */
export function end(token: string, done: boolean): Change<void> {
  return (text) => {
    const state = read(text);
    if (state?.token !== token || state.fire === undefined) return { result: undefined };
    const { fire, token: _, until: __, ...rest } = state;
    return write(undefined, done ? { ...rest, done: Math.max(rest.done, fire) } : rest);
  };
}

/** The time that is to be published, and whether others before it are passed over. */
function due(
  done: number,
  now: number,
  { times, missed }: Recurrence,
  counted: boolean,
): { readonly at?: number; readonly passed: boolean } {
  const first = times.next(done);
  if (first === undefined || first > now) return { passed: false };
  if (missed === 'all') {
    const at = counted ? first : newest(first, now, times);
    return { at, passed: at > first };
  }
  const at = Math.max(first, times.last(now, 1)[0] ?? first);
  return missed === 'once' || now - at <= LATE_MS ? { at, passed: at > first } : { passed: true };
}

/** The first of those that are not too many. */
function newest(first: number, now: number, times: CronTimes): number {
  let count = 1;
  for (let at = times.next(first); at !== undefined && at <= now; at = times.next(at))
    if (++count > MOST_MISSED) return Math.max(first, times.last(now, MOST_MISSED).at(-1) ?? first);
  return first;
}

function claimed(state: RecurringState, fire: number, token: string, now: number): RecurringState {
  return { ...state, fire, token, until: now + LEASE_MS };
}

function write<T>(result: T, state: RecurringState): { result: T; state: string; keepMs: number } {
  return { result, state: JSON.stringify(state), keepMs: KEEP_MS };
}

function read(text: string | undefined): RecurringState | undefined {
  return text === undefined ? undefined : (JSON.parse(text) as RecurringState);
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
