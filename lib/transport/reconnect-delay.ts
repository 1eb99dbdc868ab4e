import type { ReconnectPolicy } from './transport.js';

/**
 * A connection that ends sooner, in milliseconds, counts as one that could not be opened: what ended it may be waiting for
 * the next one.
 */
export const STEADY_AFTER_MS = 5_000;

/** Milliseconds before the next attempt after `failures` failed ones (at least 1): doubled up to `max`, ± `jitter`. */
export function reconnectDelay(policy: ReconnectPolicy, failures: number, random: () => number): number {
  const base = Math.min(policy.max, policy.initial * 2 ** Math.min(failures - 1, 52));
  return base * (1 + policy.jitter * (2 * random() - 1));
}
