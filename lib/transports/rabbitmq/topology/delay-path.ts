/*
 * A delay is a walk down powers of two. There is one queue per power, the level: level n holds every message for 2^n
 * milliseconds, so that the first to come is the first to go and no message waits behind a longer one. A delay of 104 ms
 * is 64 + 32 + 8: levels 6, 5 and 3.
 *
 * Only the ten highest bits of a delay are walked, so it takes ten hops at most and is rounded up by less than 0.2 %.
 * All delays with the same highest bit use the same ten levels, a band.
 */

const HIGHEST_LEVEL = 31;
const BAND = 10;

/** Below 2^3 ms a hop takes longer than the level would hold the message. */
const LOWEST_LEVEL = 3;

/** All that there can be, the lowest first. */
export const LEVELS: readonly number[] = Array.from(
  { length: HIGHEST_LEVEL - LOWEST_LEVEL + 1 },
  (_, at) => LOWEST_LEVEL + at,
);

/** The longest delay: the whole band of the highest level, 49.6 days. */
export const MAX_DELAY_MS = 2 ** (HIGHEST_LEVEL + 1) - 2 ** (HIGHEST_LEVEL + 1 - BAND);

/** The levels that add up to a delay of at least `delayMs` (more than 0, at most MAX_DELAY_MS), highest first. */
export function delayLevels(delayMs: number): number[] {
  let left = roundUp(Math.ceil(delayMs));
  const levels: number[] = [];
  for (let level = HIGHEST_LEVEL; level >= LOWEST_LEVEL; level--) {
    if (left < 2 ** level) continue;
    levels.push(level);
    left -= 2 ** level;
  }
  return levels;
}

/** Every level that a delay which begins at level `top` can use, highest first. */
export function bandOf(top: number): number[] {
  const levels: number[] = [];
  for (let level = top; level >= LOWEST_LEVEL && level > top - BAND; level--) levels.push(level);
  return levels;
}

function roundUp(delayMs: number): number {
  const step = 2 ** Math.max(LOWEST_LEVEL, Math.floor(Math.log2(delayMs)) + 1 - BAND);
  return Math.ceil(delayMs / step) * step;
}
