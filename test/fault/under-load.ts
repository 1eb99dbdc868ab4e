import { expect } from '@jest/globals';
import type { Proxy } from '../brokers/proxy.js';
import { waitFor } from '../brokers/wait-for.js';
import { event } from '../e2e/support/application.js';
import { type Account, problemsOf } from './checker.js';
import { now } from './journal.js';
import type { Load } from './load.js';

/** What may be in flight when a connection falls. */
const UNKNOWN = 100;

export interface FaultUnderLoad {
  /** How often the fault comes, each time with the same amount in flight at most. */
  readonly times?: number;
  /** So many are handled before and after each. */
  readonly each: number;
}

/** The fault comes in the middle of publishing and handling: nothing is lost, and what comes twice was under way. */
export async function survived(
  load: Load,
  fault: () => Promise<void>,
  { times = 1, each }: FaultUnderLoad,
): Promise<Account & { inFlight: number }> {
  await load.more(each);
  const from = now();
  for (let time = 0; time < times; time++) {
    await fault();
    await load.more(each);
  }
  const result = await load.finish(from, now());
  // What was queued had no answer, and may have been written each time that it was sent.
  expect(
    problemsOf(result, { duplicates: result.inFlight + result.queued + times * UNKNOWN, copies: 1 + 2 * times }),
  ).toEqual([]);
  expect(result.handled).toBeGreaterThanOrEqual(2 * each);
  return result;
}

/** What the broker says is lost until the application has given the connection up. */
export async function loseAnswers({ messaging }: Load, proxy: Proxy): Promise<void> {
  const lost = event(messaging, 'disconnected');
  proxy.dropFromBroker(true);
  await waitFor(() => proxy.droppedBytes > 0);
  await lost;
  proxy.dropFromBroker(false);
  proxy.reset();
}
