import { describe, expect, test } from '@jest/globals';
import {
  account,
  firstConfirmedOutOfOrder,
  firstOutOfOrder,
  firstTooEarly,
  inFlight,
  problemsOf,
  underWay,
  type Evidence,
} from './checker.js';
import type { Entry, Record } from './journal.js';
import { Random } from './random.js';

const none = { duplicates: 0, copies: 1 };

/** Entries in this order, a microsecond apart. */
function entries(...records: Record[]): Entry[] {
  return records.map((record, at) => ({ t: at + 1, ...record }));
}

const attempt = (id: string): Record => ({ e: 'attempt', id });
const receipt = (id: string, outcome: 'confirmed' | 'queued' = 'confirmed'): Record => ({ e: 'receipt', id, outcome });
const settled = (id: string, outcome: 'confirmed' | 'rejected' = 'confirmed'): Record => ({
  e: 'settled',
  id,
  outcome,
});
const rejected = (id: string, code: string): Record => ({ e: 'rejected', id, code });
const start = (id: string, attempt = 1): Record => ({ e: 'start', id, attempt });
const end = (id: string, attempt = 1): Record => ({ e: 'end', id, attempt });
const fail = (id: string, attempt = 1): Record => ({ e: 'fail', id, attempt });

function evidence(
  publisher: Record[],
  consumer: Record[],
  more: Partial<Evidence> & { killedAt?: number } = {},
): Evidence {
  const { killedAt, deadLetters = [] } = more;
  return {
    trails: [
      { entries: entries(...publisher), ...(killedAt !== undefined && { killedAt }) },
      { entries: entries(...consumer) },
    ],
    deadLetters,
  };
}

describe('the account', () => {
  test('of a run without a fault', () => {
    const result = account(
      evidence(
        [attempt('a'), attempt('b'), attempt('c'), receipt('a'), receipt('b', 'queued'), settled('b'), receipt('c')],
        [start('a'), end('a'), start('b'), fail('b'), start('b', 2), end('b', 2), start('c'), fail('c')],
        { deadLetters: ['c'] },
      ),
    );
    expect(result).toMatchObject({ attempted: 3, confirmed: 2, queued: 1, handled: 2, deadLettered: 1 });
    expect(result).toMatchObject({ lost: [], unexpected: [], duplicated: 0, recovered: 0, unsettled: [] });
    expect(problemsOf(result, none)).toEqual([]);
  });

  test('finds a planted loss', () => {
    const result = account(evidence([attempt('a'), receipt('a'), attempt('b'), receipt('b')], [start('a'), end('a')]));
    expect(result.lost).toEqual(['b']);
    expect(problemsOf(result, none)).toEqual(['1 lost: b']);
  });

  test('a handler that was called and did not end has not handled', () => {
    expect(account(evidence([attempt('a'), receipt('a')], [start('a'), start('a'), fail('a')])).lost).toEqual(['a']);
  });

  test('finds the loss of a message that waited in a process that lived', () => {
    const result = account(evidence([attempt('a'), receipt('a', 'queued')], []));
    expect(result).toMatchObject({ lost: ['a'], unsettled: ['a'] });
    expect(problemsOf(result, none)).toEqual(['1 lost: a', '1 without a final result: a']);
  });

  test('what waited in the memory of a killed process is not lost, what was confirmed is', () => {
    const published = [attempt('a'), receipt('a', 'queued'), attempt('b'), attempt('c'), receipt('c')];
    const result = account(evidence(published, [], { killedAt: 9 }));
    expect(result).toMatchObject({ lost: ['c'], unsettled: [] });
  });

  test('finds a planted duplicate, and allows as many as were in flight', () => {
    const handled = [start('a'), end('a'), start('a'), end('a'), start('b'), end('b')];
    const result = account(
      evidence([attempt('a'), receipt('a'), attempt('b'), receipt('b')], handled, { deadLetters: ['b'] }),
    );
    expect(result.duplicated).toBe(2);
    expect(problemsOf(result, { duplicates: 2, copies: 2 })).toEqual([]);
    expect(problemsOf(result, { duplicates: 1, copies: 2 })).toEqual(['2 duplicates, only 1 were in flight: a, b']);
    expect(problemsOf(result, { duplicates: 2, copies: 1 })).toEqual([
      'one message came 2 times, 1 at most are allowed',
    ]);
  });

  test('finds a planted message that nobody sent', () => {
    const result = account(
      evidence([attempt('a'), receipt('a')], [start('a'), end('a'), start('x'), end('x')], { deadLetters: ['y'] }),
    );
    expect(result.unexpected).toEqual(['x', 'y']);
    expect(problemsOf(result, none)).toEqual(['2 unexpected: x, y']);
  });

  test('finds a message that arrived though its publisher was told that it never will', () => {
    expect(account(evidence([attempt('a'), rejected('a', 'UNROUTABLE')], [end('a')])).unexpected).toEqual(['a']);
    expect(
      account(evidence([attempt('a'), receipt('a', 'queued'), settled('a', 'rejected')], [end('a')])).unexpected,
    ).toEqual(['a']);
  });

  test('what arrived without a receipt is recovered', () => {
    const published = [attempt('a'), attempt('b'), rejected('b', 'PUBLISHER_CLOSED')];
    const result = account(evidence(published, [end('a'), end('b')], { killedAt: 9 }));
    expect(result).toMatchObject({ recovered: 2, unexpected: [], duplicated: 0 });
  });
});

test('in flight is what began before the fault ended and was not over when it began', () => {
  const [publisher, consumer] = [
    entries(attempt('a'), receipt('a'), attempt('b'), attempt('c'), receipt('c', 'queued'), attempt('d'), attempt('e')),
    entries(start('a'), end('a'), start('b'), start('c'), end('c'), start('d')),
  ];
  expect(inFlight([{ entries: publisher }, { entries: consumer }], 5, 6)).toEqual({ publishes: 3, deliveries: 3 });
  expect(inFlight([{ entries: publisher, killedAt: 4 }, { entries: [] }], 5, 6)).toEqual({
    publishes: 0,
    deliveries: 0,
  });
});

test('order is that of the first calls, by key', () => {
  const of = (...calls: [string, string, number][]): Entry[] =>
    calls.map(([id, key, n], t) => ({ t, e: 'start', id, attempt: 1, key, n }));
  expect(
    firstOutOfOrder(of(['a', 'k', 0], ['x', 'l', 5], ['b', 'k', 1], ['a', 'k', 0], ['c', 'k', 2])),
  ).toBeUndefined();
  expect(firstOutOfOrder(of(['a', 'k', 0], ['c', 'k', 2], ['b', 'k', 1]))).toBe(
    'b (number 1 of key k) came after number 2',
  );
});

test('the order of confirms is that in which the messages of a key were published, whether they were queued or not', () => {
  const of = (id: string, n: number, key = 'k'): Record => ({ e: 'attempt', id, key, n });
  const published = [of('a', 0), of('b', 1), of('x', 0, 'l'), receipt('a', 'queued')];
  expect(
    firstConfirmedOutOfOrder(entries(...published, receipt('x'), receipt('b', 'queued'), settled('a'), settled('b'))),
  ).toBeUndefined();
  const early = 'number 1 of key k was confirmed before number 0';
  expect(firstConfirmedOutOfOrder(entries(...published, receipt('b')))).toBe(early);
  expect(firstConfirmedOutOfOrder(entries(...published, settled('a', 'rejected'), receipt('b')))).toBeUndefined();
});

describe('a message of a key began too early', () => {
  const call = (id: string, key = 'k'): Record => ({ e: 'start', id, attempt: 1, key, n: 0 });

  test('while the one before it is running, or waits for its retry', () => {
    expect(firstTooEarly(entries(call('a'), call('x', 'l'), call('b')))).toBe(
      'b began while a of its key was not over',
    );
    expect(firstTooEarly(entries(call('a'), fail('a'), call('b')))).toBe('b began while a of its key was not over');
  });

  test('but not after that has ended, failed for good, or become a dead letter, nor when it comes once more', () => {
    const failed: Record = { e: 'fail', id: 'b', attempt: 1, final: true };
    const crashed: Record = { e: 'event', name: 'dead-lettered', id: 'c' };
    expect(
      firstTooEarly(entries(call('a'), end('a'), call('b'), failed, call('c'), crashed, call('d'), call('b'))),
    ).toBeUndefined();
  });
});

test('under way is each publish without a confirm, also one that is queued, and each running handler, also of a copy', () => {
  const published = [attempt('a'), receipt('a'), attempt('b'), receipt('b', 'queued'), attempt('c'), attempt('d')];
  expect(underWay(entries(...published, rejected('d', 'REFUSED'), start('a'), start('a')))).toBe(4);
  expect(underWay(entries(...published, settled('b'), start('a'), start('a'), end('a'), start('c'), fail('c')))).toBe(
    3,
  );
  expect(underWay(entries(attempt('a'), start('a'), receipt('a'), end('a')))).toBe(0);
});

test('a seed always gives the same numbers', () => {
  const numbers = (seed: number): number[] => {
    const random = new Random(seed);
    return Array.from({ length: 5 }, () => random.between(1, 100));
  };
  expect(numbers(7)).toEqual(numbers(7));
  expect(numbers(7)).not.toEqual(numbers(8));
});
