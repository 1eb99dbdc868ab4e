import { describe, expect, it } from '@jest/globals';
import { OffsetWindow } from '../../../lib/transports/kit/offset-window.js';

function opened(...offsets: number[]): OffsetWindow {
  const window = new OffsetWindow(offsets[0]);
  for (const offset of offsets) window.open(offset);
  return window;
}

describe('the window of offsets', () => {
  it('moves on with what is settled in turn', () => {
    const window = opened(5, 6, 7);
    expect(window.committable).toBe(5);
    expect(window.settle(5)).toBe(true);
    expect(window.committable).toBe(6);
  });

  it('holds what is settled out of turn until all before it is settled', () => {
    const window = opened(0, 1, 2, 3);
    expect([window.settle(2), window.settle(1)]).toEqual([false, false]);
    expect([window.committable, window.unsettled]).toEqual([0, 2]);
    expect(window.settle(0)).toBe(true);
    expect([window.committable, window.unsettled]).toEqual([3, 1]);
  });

  it('commits behind the last one once all are settled, and nothing where none was handed over', () => {
    const window = opened(10, 12, 15);
    for (const offset of [15, 10, 12]) window.settle(offset);
    expect(window.committable).toBe(16);
    expect(new OffsetWindow(7).committable).toBe(7);
  });

  it('hands an offset over once, however often it is fetched', () => {
    const window = opened(1, 2, 3);
    window.settle(1);
    expect([1, 2, 3, 4].map((offset) => window.open(offset))).toEqual([false, false, false, true]);
    expect(window.next).toBe(5);
  });

  it('is not moved by what is not open, and by what is settled twice', () => {
    const window = opened(1, 3);
    for (const offset of [0, 9, 3, 3]) expect(window.settle(offset)).toBe(false);
    expect([window.committable, window.unsettled]).toEqual([1, 1]);
    window.settle(1);
    expect(window.settle(3)).toBe(false);
    expect([window.committable, window.unsettled]).toEqual([4, 0]);
  });

  it('passes over what is not there', () => {
    const window = opened(1);
    window.skipTo(40);
    expect(window.committable).toBe(1);
    window.settle(1);
    expect(window.committable).toBe(40);
    window.skipTo(4);
    expect([window.open(39), window.open(40)]).toEqual([false, true]);
  });

  it('agrees with a plain count, whatever the order, over many thousand offsets, and keeps none of them', () => {
    const window = new OffsetWindow(0);
    const open: number[] = [];
    const settled = new Set<number>();
    let random = 7;
    const upTo = (most: number): number => (random = (random * 48_271) % 2_147_483_647) % most;
    for (let offset = 0; offset < 20_000; offset++) {
      window.open(offset);
      open.push(offset);
      while (open.length > 50) {
        const [one] = open.splice(upTo(open.length), 1);
        settled.add(one);
        window.settle(one);
      }
      if (offset % 500 === 0) expect(window.committable).toBe(Math.min(...open));
    }
    for (const offset of open) window.settle(offset);
    expect([window.committable, window.unsettled]).toEqual([20_000, 0]);
    expect((window as unknown as { offsets: number[] }).offsets.length).toBeLessThan(3_000);
  });
});
