import { describe, expect, it } from '@jest/globals';
import { ConfirmWindow } from '../../../lib/transports/rabbitmq/publishing/confirm-window.js';

function filled(count: number): ConfirmWindow<number> {
  const window = new ConfirmWindow<number>();
  for (let entry = 1; entry <= count; entry++) window.push(entry);
  return window;
}

function settle(window: ConfirmWindow<number>, tag: number, multiple = false): number[] {
  const settled: number[] = [];
  window.settle(tag, multiple, (entry) => settled.push(entry));
  return settled;
}

describe('ConfirmWindow', () => {
  it('settles one by its tag, in any order', () => {
    const window = filled(4);
    expect(settle(window, 3)).toEqual([3]);
    expect(settle(window, 1)).toEqual([1]);
    expect([window.size, window.oldest]).toEqual([2, 2]);
    expect(settle(window, 2)).toEqual([2]);
    expect(settle(window, 4)).toEqual([4]);
    expect([window.size, window.oldest]).toEqual([0, undefined]);
  });

  it('settles all up to a tag, oldest first, without those that are settled already', () => {
    const window = filled(6);
    settle(window, 2);
    expect(settle(window, 5, true)).toEqual([1, 3, 4, 5]);
    expect(window.oldest).toBe(6);
  });

  it('ignores a tag that was settled, and one that was never given', () => {
    const window = filled(2);
    settle(window, 1);
    expect(settle(window, 1)).toEqual([]);
    expect(settle(window, 9, true)).toEqual([]);
    expect(window.size).toBe(1);
  });

  it('counts tags on over many thousand entries, with holes', () => {
    const window = new ConfirmWindow<number>();
    let tag = 0;
    const open = new Set<number>();
    for (let round = 0; round < 20_000; round++) {
      window.push(++tag);
      open.add(tag);
      if (round % 3 !== 0) continue;
      const [first] = open;
      const victim = round % 2 ? first : tag;
      expect(settle(window, victim)).toEqual([victim]);
      open.delete(victim);
    }
    expect(window.size).toBe(open.size);
    expect(settle(window, tag, true)).toEqual([...open]);
  });

  it('an entry can be pushed from within a settlement', () => {
    const window = filled(1);
    window.settle(1, false, () => window.push(2));
    expect([window.size, window.oldest]).toEqual([1, 2]);
    expect(settle(window, 2)).toEqual([2]);
  });

  it('finds the oldest that fits, and drains in order', () => {
    const window = filled(5);
    settle(window, 2);
    expect(window.find((entry) => entry % 2 === 0)).toBe(4);
    expect(window.drain()).toEqual([1, 3, 4, 5]);
    expect(window.size).toBe(0);
  });
});
