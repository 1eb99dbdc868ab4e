import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from '@jest/globals';
import { TestQueue } from './support/queue.js';

const COUNT = 20_000;
/** A fifth of what as many entries take that are kept in memory. */
const MAX_GROWTH = 5 * 2 ** 20;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function heapUsed(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

test(`${COUNT} entries that wait take no memory, and are read page by page`, async () => {
  const one = await TestQueue.open();
  const before = heapUsed();
  const body = 'x'.repeat(300);
  for (let n = 0; n < COUNT; n += 1_000)
    await Promise.all(Array.from({ length: 1_000 }, (_, i) => one.append(`m${n + i}`, { meta: `${n + i} ${body}` })));
  expect(one.queue.totals('')).toEqual({ depth: COUNT, bytes: COUNT * 100, dead: 0 });
  expect(heapUsed() - before).toBeLessThan(MAX_GROWTH);

  const pass = one.queue.ready('', { dueUntil: Number.MAX_SAFE_INTEGER });
  for (let n = 0; n < COUNT; n++) {
    const { value } = pass.next();
    expect(value.id).toBe(`m${n}`);
    one.queue.remove(value);
    if (n % 500 === 499) await one.turn();
    if (n === COUNT / 2) expect(heapUsed() - before).toBeLessThan(MAX_GROWTH);
  }
  expect(pass.next().done).toBe(true);
  one.queue.commit();
  expect(one.queue.totals('')).toEqual({ depth: 0, bytes: 0, dead: 0 });
  expect(heapUsed() - before).toBeLessThan(MAX_GROWTH);
});
