import { describe, expect, test } from '@jest/globals';
import { Limited } from '../../../lib/transports/kit/limited.js';

/** Work that ends when it is told to. */
function manual(): { work: () => Promise<number>; began: number[]; end: (fail?: boolean) => Promise<void> } {
  const began: number[] = [];
  const ends: { resolve: (value: number) => void; reject: (error: Error) => void }[] = [];
  let number = 0;
  return {
    began,
    work: () => {
      began.push(++number);
      return new Promise((resolve, reject) => ends.push({ resolve, reject }));
    },
    end: async (fail = false) => {
      const { resolve, reject } = ends.shift()!;
      if (fail) reject(new Error('no'));
      else resolve(1);
      await new Promise((resolved) => setImmediate(resolved));
    },
  };
}

describe('work that is limited', () => {
  test('begins in order, at most so many at a time', async () => {
    const limited = new Limited(2);
    const { work, began, end } = manual();
    const all = [1, 2, 3, 4].map(() => limited.run(work));
    expect(began).toEqual([1, 2]);
    await end();
    expect(began).toEqual([1, 2, 3]);
    await end();
    await end();
    await end();
    await expect(Promise.all(all)).resolves.toEqual([1, 1, 1, 1]);
  });

  test('work that fails gives its place free', async () => {
    const limited = new Limited(1);
    const { work, began, end } = manual();
    const first = limited.run(work);
    const second = limited.run(work);
    const failed = expect(first).rejects.toThrow('no');
    await end(true);
    await failed;
    expect(began).toEqual([1, 2]);
    await end();
    await expect(second).resolves.toBe(1);
    const third = limited.run(work);
    await end();
    await expect(third).resolves.toBe(1);
  });
});
