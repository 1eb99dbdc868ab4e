import { describe, expect, test } from '@jest/globals';
import type { Backoff } from '../../../lib/retry/backoff.js';
import { confirmed, unroutable } from '../support/fake-transport.js';
import { GRACE, type Process, TIMEOUT, World } from './support.js';

const ROUTE = 'order.created';
/** From 1 s, doubling, up to ten minutes, each with jitter: so often it can be asked for at most in ten minutes. */
const MOST_IN_TEN_MINUTES = 12;

function toldOf(process: Process): string[] {
  return process.logged('error').filter((line) => line.includes('transactions.backoff'));
}

const wrong: [string, () => unknown, string][] = [
  [
    'throws',
    () => {
      throw new Error('no such setting');
    },
    'no such setting',
  ],
  ['gives NaN', () => NaN, '«transactions.backoff» gave NaN'],
  ['gives a text', () => '1000', '«transactions.backoff» gave a text'],
  ['gives nothing', () => undefined, '«transactions.backoff» gave undefined'],
  ['gives a promise that fails', () => Promise.reject(new Error('late')), '«transactions.backoff» gave a promise'],
];

describe.each(wrong)('a backoff that %s', (_, backoff, text) => {
  test('is told once, and the default is waited between the checks of a transaction', async () => {
    const world = new World();
    world.answer = () => 'unknown';
    const process = await world.process({ checks: 1_000, backoff: backoff as Backoff });
    const fails = process.publisher.publishInTransaction(ROUTE, 1, () => Promise.reject(new Error('no')));
    await expect(fails).rejects.toMatchObject({ code: 'TRANSACTION_UNKNOWN' });
    await world.pass(TIMEOUT + GRACE + 10_000);
    // At the failure, when it must have ended, and about 1, 3 and 7 s later.
    expect(world.asked.length).toBeGreaterThanOrEqual(4);
    await world.pass(600_000);
    expect(world.asked.length).toBeLessThanOrEqual(2 + MOST_IN_TEN_MINUTES);
    expect(toldOf(process)).toEqual([expect.stringContaining(text)]);
    world.answer = () => 'committed';
    await world.pass(600_000);
    expect(world.sent).toHaveLength(1);
    expect(await process.states()).toEqual([]);
  });

  test('does not stop what has committed from being sent, nor its record from being removed', async () => {
    const world = new World();
    const process = await world.process({ backoff: backoff as Backoff });
    process.transport.answer = () => unroutable();
    process.break('remove', 'find');
    const receipt = await process.publisher.publishInTransaction(ROUTE, 1, () => undefined);
    expect(receipt).toMatchObject({ outcome: 'queued', stored: 'record' });
    await world.pass(10_000);
    expect(world.sent.length).toBeGreaterThanOrEqual(3);
    expect(world.sent.length).toBeLessThanOrEqual(MOST_IN_TEN_MINUTES);
    process.transport.answer = () => confirmed;
    await world.pass(600_000);
    expect(await process.states()).toEqual(['committed']);
    process.faults.clear();
    await world.pass(600_000);
    expect(await receipt.settled).toMatchObject({ outcome: 'confirmed' });
    expect(await process.states()).toEqual([]);
    expect(toldOf(process)).toHaveLength(1);
  });
});

test.each<[number | false, number]>([
  [false, 600_000],
  [Infinity, 2 ** 31 - 1],
  [-5, 0],
  [1.6, 2],
])('a backoff of %s is a pause of %s ms', async (asked, pause) => {
  const world = new World();
  world.answer = () => 'unknown';
  const process = await world.process({ checks: 2, backoff: () => asked });
  const pauses: number[] = [];
  const { after } = process.clock;
  const fails = process.publisher.publishInTransaction(ROUTE, 1, () => Promise.reject(new Error('no')));
  await expect(fails).rejects.toMatchObject({ code: 'TRANSACTION_UNKNOWN' });
  await world.pass(TIMEOUT + GRACE - 500);
  process.clock.after = (ms, ...more) => {
    pauses.push(ms);
    return after.call(process.clock, ms, ...more);
  };
  await world.pass(500);
  expect(pauses).toContain(pause);
  expect(toldOf(process)).toEqual([]);
});
