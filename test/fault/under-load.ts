import { expect } from '@jest/globals';
import type { Proxy } from '../brokers/proxy.js';
import { waitFor } from '../brokers/wait-for.js';
import { event } from '../e2e/support/application.js';
import { type Account, problemsOf, underWay } from './checker.js';
import { now } from './journal.js';
import type { Load } from './load.js';

/** What may be in flight when a connection falls. */
const UNKNOWN = 100;

export interface FaultUnderLoad {
  /** How often the fault comes, each time with the same amount in flight at most. */
  readonly times?: number;
  /** So many are handled before and after each. */
  readonly each: number;
  /** The application tells of each fault, and only what was under way at one of them may come once more for it. */
  readonly told?: boolean;
}

/** The fault comes in the middle of publishing and handling: nothing is lost, and what comes twice was under way. */
export async function survived(
  load: Load,
  fault: () => Promise<void>,
  options: FaultUnderLoad,
): Promise<Account & { inFlight: number }> {
  try {
    return await disturbed(load, fault, options);
  } catch (error) {
    // It would go on for ever, and the process of the test with it.
    load.stop();
    throw error;
  }
}

async function disturbed(
  load: Load,
  fault: () => Promise<void>,
  { times = 1, each, told = false }: FaultUnderLoad,
): Promise<Account & { inFlight: number }> {
  await load.more(each);
  const from = now();
  // On a slow machine there are more than the test makes: what is not confirmed in time is one, too.
  const cuts: number[] = [];
  const off = load.messaging.events.on('disconnected', () => void cuts.push(underWay(load.entries)));
  for (let time = 0; time < times; time++) {
    await fault();
    await load.more(each);
  }
  const result = await load.finish(from, now());
  off();
  // What was queued had no answer, and may have been written each time that it was sent.
  const most = told ? cuts.reduce((sum, count) => sum + count, 0) : result.inFlight + result.queued;
  const copies = 1 + 2 * Math.max(times, told ? cuts.length : 0);
  expect(problemsOf(result, { duplicates: most + times * UNKNOWN, copies })).toEqual([]);
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
