import { describe, expect, test } from '@jest/globals';
import { exponential, fixed } from '../../../lib/retry/backoff.js';

const waits = (backoff: ReturnType<typeof fixed>, calls: number): unknown[] =>
  Array.from({ length: calls }, (_, n) => backoff(n + 1, undefined));

describe('backoff', () => {
  test('exponential grows by its factor up to its limit', () => {
    const options = { initial: 100, factor: 3, max: 2_000, jitter: 0 };
    expect(waits(exponential(options), 5)).toEqual([100, 300, 900, 2_000, 2_000]);
    expect(waits(exponential({ jitter: 0 }), 6)).toEqual([1_000, 4_000, 16_000, 64_000, 256_000, 600_000]);
  });

  test('its jitter goes both ways, and never beyond its limit', () => {
    const at = (random: number): unknown[] =>
      waits(exponential({ initial: 100, factor: 10, max: 1_000, jitter: 0.2, random: () => random }), 3);
    expect(at(0)).toEqual([80, 800, 800]);
    expect(at(0.5)).toEqual([100, 900, 900]);
    expect(at(0.999999)).toEqual([120, 1_000, 1_000]);
  });

  test('stays a number after any number of attempts', () => {
    expect(exponential({ initial: 0, jitter: 0 })(5_000, undefined)).toBe(0);
    expect(exponential({ jitter: 0 })(5_000, undefined)).toBe(600_000);
  });

  test('fixed is fixed', () => {
    expect(waits(fixed(5), 3)).toEqual([5, 5, 5]);
  });

  test.each<[string, () => unknown]>([
    ['backoff.initial', () => exponential({ initial: -1 })],
    ['backoff.factor', () => exponential({ factor: 0.5 })],
    ['backoff.max', () => exponential({ initial: 100, max: 50 })],
    ['backoff.jitter', () => exponential({ jitter: 1.5 })],
    ['backoff.jitter', () => exponential({ jitter: NaN })],
    ['backoff.ms', () => fixed(-1)],
    ['backoff.ms', () => fixed('5' as never)],
  ])('%s is checked', (option, make) => {
    expect(make).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', option }));
  });
});
