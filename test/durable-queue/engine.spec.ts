import { readdirSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { TestQueue, entry, files } from './support/queue.js';

describe('an appended entry', () => {
  test('is on the disk when its callback is called, and comes back as it was', async () => {
    const one = await TestQueue.open();
    const kept = await one.append('a', {
      lane: 'k',
      priority: 3,
      expiresAt: 9_999,
      attempts: 2,
      body: Buffer.from([0, 255]),
    });
    one.kill();
    const two = await TestQueue.open(one.directory);
    expect(two.ready()).toEqual([kept]);
    expect(two.queue.totals('')).toEqual({ depth: 1, bytes: 100, dead: 0 });
    expect(two.queue.adopted).toBe(1);
  });

  test('shares its transaction with what is appended in the same turn, and is not kept waiting alone', async () => {
    const one = await TestQueue.open();
    const done: string[] = [];
    for (const id of ['a', 'b', 'c']) one.queue.append(entry(id), () => void done.push(id));
    expect(done).toEqual([]);
    await one.turn();
    expect(done).toEqual(['a', 'b', 'c']);
    expect(one.clock.timerCount).toBe(1);
  });

  test('that was taken back before it was written is never there', async () => {
    const one = await TestQueue.open();
    let told = false;
    const kept = one.queue.append(entry('a'), () => (told = true));
    one.queue.remove(kept);
    await one.turn();
    expect([told, one.ids(), one.queue.depth]).toEqual([false, [], 0]);
  });

  test('before the file is open is written when it is', async () => {
    const first = await TestQueue.open();
    await first.append('old');
    first.kill();
    const one = new TestQueue(first.directory);
    const early = one.append('early');
    await one.queue.open();
    expect((await early).seq).toBe(2);
    expect(one.ids()).toEqual(['old', 'early']);
  });

  test('has a place that is never used again, also when the file was emptied and opened again', async () => {
    const one = await TestQueue.open();
    const { seq } = await one.append('a');
    one.queue.remove(await one.append('b'));
    one.queue.commit();
    one.kill();
    const two = await TestQueue.open(one.directory);
    expect((await two.append('c')).seq).toBeGreaterThan(seq + 1);
  });
});

describe('a pass', () => {
  test('goes by priority, then by when entries fell due, then by their places', async () => {
    const one = await TestQueue.open();
    await Promise.all([
      one.append('later', { dueAt: 50 }),
      one.append('low'),
      one.append('high', { priority: 9 }),
      one.append('sooner', { dueAt: 40 }),
      one.append('low too'),
    ]);
    expect(one.ids()).toEqual(['high', 'low', 'low too', 'sooner', 'later']);
    expect(one.ids({ dueUntil: 40 })).toEqual(['high', 'low', 'low too', 'sooner']);
    expect(one.ids({ dueAfter: 40, dueUntil: 50 })).toEqual(['later']);
    expect(one.queue.nextDueAt('', 0)).toBe(40);
    expect(one.queue.nextDueAt('', 40)).toBe(50);
    expect(one.queue.nextDueAt('', 50)).toBeUndefined();
  });

  test('sees what was there when it began, over many pages, and skips what leaves meanwhile', async () => {
    const one = await TestQueue.open();
    const all = await Promise.all(Array.from({ length: 400 }, (_, n) => one.append(`m${n}`)));
    const pass = one.queue.ready('', { dueUntil: 0 });
    expect(pass.next().value).toMatchObject({ id: 'm0' });
    one.queue.remove(all[1]);
    one.queue.update(all[2], { dueAt: 77, attempts: 1, returns: 0 });
    await one.append('new');
    expect(one.queue.commit()).toBe(true);
    const rest: string[] = [];
    for (let step = pass.next(); !step.done; step = pass.next()) rest.push(step.value.id);
    expect(rest).toEqual(all.slice(3).map(({ id }) => id));
  });

  test('sees each queue for itself', async () => {
    const one = await TestQueue.open();
    await Promise.all([one.append('a', { queue: 'x.y' }), one.append('b', { queue: 'z' })]);
    expect([one.ids({}, 'x.y'), one.ids({}, 'z'), one.ids()]).toEqual([['a'], ['b'], []]);
    expect(one.queue.queues.sort()).toEqual(['x.y', 'z']);
  });
});

describe('a lane', () => {
  test('shows its first entry only, and hands over the next when that leaves', async () => {
    const one = await TestQueue.open();
    const [a, b] = await Promise.all(['a', 'b', 'c'].map((id) => one.append(id, { lane: 'k' })));
    await one.append('free');
    expect(one.ids()).toEqual(['a', 'free']);
    expect(one.queue.remove(a)).toMatchObject({ id: 'b' });
    expect(one.queue.remove(b)).toMatchObject({ id: 'c' });
    one.queue.commit();
    expect(one.ids()).toEqual(['c', 'free']);
  });

  test('is held by entries that are not written yet', async () => {
    const one = await TestQueue.open();
    one.queue.append(entry('a', { lane: 'k' }), () => undefined);
    expect([one.queue.holds('', 'k'), one.queue.holds('', 'l')]).toEqual([true, false]);
    await one.turn();
    expect(one.queue.holds('', 'k')).toBe(true);
  });

  test('goes on behind one that left from its middle', async () => {
    const one = await TestQueue.open();
    const [a, b] = await Promise.all(['a', 'b', 'c'].map((id) => one.append(id, { lane: 'k' })));
    expect(one.queue.remove(b)).toBeUndefined();
    expect(one.queue.remove(a)).toMatchObject({ id: 'c' });
  });

  test('waits for a head that waits for its time', async () => {
    const one = await TestQueue.open();
    const [a] = await Promise.all(['a', 'b'].map((id) => one.append(id, { lane: 'k' })));
    one.queue.update(a, { dueAt: 500, attempts: 1, returns: 0 });
    expect(one.ids({ dueUntil: 499 })).toEqual([]);
    expect(one.ids({ dueUntil: 500 })).toEqual(['a']);
  });

  test('has its head after the process was killed between a removal and its writing', async () => {
    const one = await TestQueue.open();
    const [a] = await Promise.all(['a', 'b'].map((id) => one.append(id, { lane: 'k' })));
    one.queue.remove(a);
    one.kill();
    const two = await TestQueue.open(one.directory);
    expect(two.ids()).toEqual(['a']);
  });
});

describe('what became of an entry', () => {
  test('a buried one is among the dead with its reason, survives, and can be deleted', async () => {
    const one = await TestQueue.open();
    const kept = await one.append('a');
    one.queue.bury(kept, { reason: 'expired', errorClass: 'E', errorCode: 'C', errorMessage: 'm', time: 5 });
    expect(one.queue.commit()).toBe(true);
    one.kill();
    const two = await TestQueue.open(one.directory);
    expect(two.queue.totals('')).toEqual({ depth: 0, bytes: 0, dead: 1 });
    expect(two.queue.find(kept.seq)).toMatchObject({ id: 'a', reason: 'expired' });
    const [dead] = two.queue.deadAfter('', 0, 10);
    expect(dead).toMatchObject({
      id: 'a',
      errorClass: 'E',
      errorCode: 'C',
      errorMessage: 'm',
      time: 5,
      body: kept.body,
    });
    expect(two.queue.deleteDead('', [dead, { ...dead, seq: 99 }])).toEqual([dead]);
    expect(two.queue.deleteDead('', [dead])).toEqual([]);
    expect(two.queue.totals('').dead).toBe(0);
  });

  test('attempts and times outlive the process', async () => {
    const one = await TestQueue.open();
    one.queue.update(await one.append('a'), { dueAt: 7, attempts: 3, returns: 1 });
    one.queue.commit();
    one.kill();
    const two = await TestQueue.open(one.directory);
    expect(two.ready()).toMatchObject([{ id: 'a', dueAt: 7, attempts: 3, returns: 1 }]);
  });

  test('is known by its place', async () => {
    const one = await TestQueue.open();
    const kept = await one.append('a');
    expect(one.queue.find(kept.seq)).toBe('waiting');
    one.queue.remove(kept);
    expect(one.queue.find(kept.seq)).toBe('gone');
  });

  test('those whose time has ended are found, the longest first', async () => {
    const one = await TestQueue.open();
    await Promise.all([one.append('b', { expiresAt: 20 }), one.append('a', { expiresAt: 10 }), one.append('c')]);
    expect(one.queue.nextExpiry('')).toBe(10);
    expect(one.queue.expired('', 20, 10).map(({ id }) => id)).toEqual(['a', 'b']);
  });
});

describe('a folder', () => {
  test('is empty again when everything was sent and the process ended in order', async () => {
    const one = await TestQueue.open();
    one.queue.remove(await one.append('a'));
    one.queue.close();
    expect(readdirSync(one.directory)).toEqual([]);
  });

  test('keeps what was not sent when the process ends in order', async () => {
    const one = await TestQueue.open();
    await one.append('a');
    one.queue.close();
    const two = await TestQueue.open(one.directory);
    expect(two.ids()).toEqual(['a']);
    expect(files(one.directory)).toHaveLength(1);
  });
});
