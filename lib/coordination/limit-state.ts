import { type Change, CLOCKS_DIFFER_MS } from './coordination-store.js';

/** How many calls may begin in a time, and how many may run, over all processes. */
export interface Limit {
  readonly rate: number | undefined;
  readonly perMs: number;
  readonly concurrency: number | undefined;
}

/** What all processes know of one limit. */
interface LimitState {
  /** Of the newest part of the time, and how many began in it and in those before, the newest first. */
  readonly part: number;
  readonly begun: readonly number[];
  /** Until when each call that runs has its permit, unless it is renewed. */
  readonly held: Readonly<Record<string, number>>;
  /** When the last of those that wait was asked to come. */
  readonly last: number;
  /** The same of those that came when they were asked to, and wait once more. */
  readonly again?: number;
  /** About how long a call takes, in milliseconds. */
  readonly takesMs: number;
}

/** Undefined: the call may begin. Else when to ask again. */
export type Permit = { readonly waitMs: number } | undefined;

/** So long a permit is kept for a process that may have died, in milliseconds. */
export const PERMIT_MS = 15_000;
/** Calls are counted in so many parts of the time, and in one more: so never more than the rate begin in any stretch of it. */
const PARTS = 10;
/** The longest that somebody is asked to wait, in milliseconds: he asks again then. */
const LONGEST_MS = 3_600_000;
const FIRST_GUESS_MS = 1_000;
/** How much the last call counts for the guess. */
const WEIGHT = 0.2;

/**
 * Asks for a permit under a token; `waited`: it was asked to come now. Whoever has to wait gets a time of his own, so that
 * those who wait come one after the other, and in their turn before who comes later. `early`: he only looks whether there is
 * room before his time, which he keeps.
 */
export function permit(
  { rate, perMs, concurrency }: Limit,
  token: string,
  waited: boolean,
  early = false,
): Change<Permit> {
  const partMs = perMs / PARTS;
  return (text, now) => {
    const { part, begun, held, last, again = 0, takesMs } = current(text, now, partMs);
    const sum = begun.reduce((total, count) => total + count, 0);
    const running = Object.keys(held).length;
    const free = (rate === undefined || sum < rate) && (concurrency === undefined || running < concurrency);
    const keepMs = (PARTS + 1) * partMs + PERMIT_MS;
    if (free && (waited || last <= now)) {
      const [newest, ...older] = begun;
      const taken = concurrency === undefined ? held : { ...held, [token]: now + PERMIT_MS };
      const state: LimitState = { part, begun: [newest + 1, ...older], held: taken, last, again, takesMs };
      return { result: undefined, state: JSON.stringify(state), keepMs: keepMs + Math.max(0, last - now) };
    }
    if (early) return { result: { waitMs: 1 } };
    const stepMs = Math.max(
      1,
      rate === undefined ? 0 : ((PARTS + 1) * partMs) / rate,
      concurrency === undefined ? 0 : takesMs / concurrency,
    );
    const rateAt = rate === undefined || sum < rate ? now : freeAt(part, begun, sum, rate, partMs);
    const earliest = Math.max(rateAt, concurrency !== undefined && running >= concurrency ? now + stepMs : now);
    const asked = Math.max(earliest, now + 1, (waited ? again : last) + stepMs);
    const at = Math.ceil(Math.min(asked, now + LONGEST_MS));
    const own = { last: Math.max(last, at), again: waited ? at : again };
    const state: LimitState = { part, begun, held, ...own, takesMs };
    return { result: { waitMs: at - now }, state: JSON.stringify(state), keepMs: keepMs + state.last - now };
  };
}

/** Keeps a permit for longer, or takes it back where nobody else has. False: it was over, and others have all there are. */
export function renewPermit(limit: Limit, token: string): Change<boolean> {
  return (text, now) => {
    const state = current(text, now, limit.perMs / PARTS);
    const { [token]: own, ...others } = state.held;
    if (own === undefined && Object.keys(others).length >= (limit.concurrency ?? Infinity)) return { result: false };
    const held = { ...others, [token]: now + PERMIT_MS };
    return { result: true, state: JSON.stringify({ ...state, held }), keepMs: keepOf(limit, state, now) };
  };
}

/** The call is over, and took so long. */
export function endPermit(limit: Limit, token: string, tookMs: number): Change<void> {
  return (text, now) => {
    const state = read(text);
    if (state?.held[token] === undefined) return { result: undefined };
    const { [token]: _, ...held } = state.held;
    const takesMs = state.takesMs * (1 - WEIGHT) + tookMs * WEIGHT;
    return { result: undefined, state: JSON.stringify({ ...state, held, takesMs }), keepMs: keepOf(limit, state, now) };
  };
}

/** When so many have left the time that one more may begin. */
function freeAt(part: number, begun: readonly number[], sum: number, rate: number, partMs: number): number {
  let left = sum;
  for (let age = begun.length - 1; age > 0; age--) {
    left -= begun[age];
    if (left < rate) return (part - age + PARTS + 1) * partMs;
  }
  return (part + PARTS + 1) * partMs;
}

function current(text: string | undefined, now: number, partMs: number): LimitState {
  const found = read(text);
  const own = Math.floor(now / partMs);
  // Where times differ a little the parts do not go back and forth: what began would be forgotten too early.
  const part = found && found.part > own && (found.part - own) * partMs <= CLOCKS_DIFFER_MS ? found.part : own;
  const none = { part, begun: new Array<number>(PARTS + 1).fill(0), held: {}, last: 0, takesMs: FIRST_GUESS_MS };
  if (!found) return none;
  // A permit that ends later than any can was given before the clock was set back.
  const endOf = (until: number): number => (until > now + PERMIT_MS + CLOCKS_DIFFER_MS ? now + PERMIT_MS : until);
  const held = Object.fromEntries(
    Object.entries(found.held).flatMap(([token, until]) => (until > now ? [[token, endOf(until)]] : [])),
  );
  const last = Math.min(found.last, now + LONGEST_MS);
  const again = Math.min(found.again ?? 0, now + LONGEST_MS);
  // The clock was set back, or the limit is for another time now: what is known counts as if it had just begun.
  if (found.part > part) return { ...found, part, held, last, again };
  const parts = Math.min(part - found.part, PARTS + 1);
  const begun = [...new Array<number>(parts).fill(0), ...found.begun].slice(0, PARTS + 1);
  return { ...found, part, begun, held, last, again };
}

/** As long as what began counts, and how long a call takes is worth knowing. */
function keepOf({ perMs }: Limit, { last }: LimitState, now: number): number {
  return Math.max(LONGEST_MS, (1 + 1 / PARTS) * perMs + PERMIT_MS) + Math.max(0, last - now);
}

function read(text: string | undefined): LimitState | undefined {
  return text === undefined ? undefined : (JSON.parse(text) as LimitState);
}
