import type { Clock } from '../../clock/clock.js';
import { sleep } from '../../clock/sleep.js';
import type { Waiters } from '../../transport/waiters.js';

/** Between polls that do not wait. */
const SHORT_POLL_MS = 100;

/** Resolves after a moment, or as soon as there may be something new, or `over` is aborted. */
export async function shortPause(clock: Clock, waiters: Waiters, over: AbortSignal): Promise<void> {
  const woken = new AbortController();
  const ended = AbortSignal.any([woken.signal, over]);
  await Promise.race([sleep(clock, SHORT_POLL_MS, ended), waiters.wait(ended)]);
  woken.abort();
}
