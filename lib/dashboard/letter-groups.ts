import { createHash } from 'node:crypto';
import type { HeldLetter } from './held-letter.js';

/** Dead letters with the same reason, class of error, queue and route. */
export interface LetterGroup {
  readonly group: string;
  readonly reason: string;
  readonly error: string;
  /** The text of the newest one's error. */
  readonly message: string;
  readonly queue: string;
  readonly route: string;
  readonly count: number;
  /** Milliseconds since the epoch; left out where nobody said when. */
  readonly first?: number;
  readonly last?: number;
  /** How many came in each hour of the last day, the oldest first. */
  readonly hours: readonly number[];
}

const HOUR_MS = 3_600_000;
const HOURS = 24;
const MAX_MESSAGE = 300;
const groups = new WeakMap<HeldLetter, string>();

export const queueOf = ({ letter }: HeldLetter): string => letter.deadLetterQueue ?? 'publisher';

export function groupOf(held: HeldLetter): string {
  let group = groups.get(held);
  if (group === undefined) {
    const { reason, error, route } = held.letter;
    const told = JSON.stringify([reason, error.class, queueOf(held), route]);
    groups.set(held, (group = createHash('sha256').update(told).digest('base64url').slice(0, 12)));
  }
  return group;
}

/** The largest first. `letters` are in order, the newest first. */
export function groupLetters(letters: readonly HeldLetter[], now: number): LetterGroup[] {
  const found = new Map<string, { -readonly [K in keyof LetterGroup]: LetterGroup[K] } & { hours: number[] }>();
  for (const held of letters) {
    const { reason, error, route, time } = held.letter;
    const name = groupOf(held);
    let group = found.get(name);
    if (!group) {
      const told = { group: name, reason, error: error.class, message: error.message.slice(0, MAX_MESSAGE) };
      group = { ...told, queue: queueOf(held), route, count: 0, hours: Array<number>(HOURS).fill(0) };
      found.set(name, group);
    }
    group.count++;
    if (time === undefined) continue;
    group.first = Math.min(group.first ?? time, time);
    group.last = Math.max(group.last ?? time, time);
    const hour = HOURS - 1 - Math.floor((now - time) / HOUR_MS);
    if (hour >= 0 && hour < HOURS) group.hours[hour]++;
  }
  return [...found.values()].sort((one, other) => other.count - one.count);
}
