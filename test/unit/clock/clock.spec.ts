import { describe, expect, test } from '@jest/globals';
import { systemClock } from '../../../lib/clock/clock.js';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import { sleep } from '../../../lib/clock/sleep.js';

describe('the manual clock', () => {
  test('stands still until it is moved, then fires in the order of due times, then of their making', async () => {
    const clock = new ManualClock(1_000);
    const fired: string[] = [];
    clock.after(20, () => fired.push(`b at ${clock.now()}`));
    clock.after(10, () => {
      fired.push(`a at ${clock.now()}`);
      clock.after(5, () => fired.push(`c at ${clock.now()}`));
    });
    clock.after(20, () => fired.push(`d at ${clock.monotonic()}`));
    const cancel = clock.after(15, () => fired.push('never'));
    cancel();
    await clock.advance(0);
    expect(fired).toEqual([]);
    await clock.advance(19);
    expect(fired).toEqual(['a at 1010', 'c at 1015']);
    await clock.advance(1);
    expect(fired.slice(2)).toEqual(['b at 1020', 'd at 20']);
    expect([clock.pending, clock.now()]).toEqual([0, 1_020]);
    expect(await clock.advanceToNext()).toBe(false);
  });
});

describe('sleep', () => {
  test('ends in time, or early with its signal, and leaves no timer', async () => {
    const clock = new ManualClock();
    const controller = new AbortController();
    const ends: string[] = [];
    void sleep(clock, 10).then(() => ends.push('time'));
    void sleep(clock, 1_000, controller.signal).then(() => ends.push('signal'));
    await clock.advance(10);
    expect(ends).toEqual(['time']);
    controller.abort();
    await clock.advance(0);
    expect(ends).toEqual(['time', 'signal']);
    await sleep(clock, 1_000, controller.signal);
    expect(clock.pending).toBe(0);
  });
});

describe('the machine’s clock', () => {
  test('fires a timer once, and not after it was cancelled', async () => {
    const cancel = systemClock.after(0, () => {
      throw new Error('cancelled');
    });
    cancel();
    cancel();
    // Its timers keep no process alive, so the test holds it.
    const hold = setInterval(() => undefined, 1_000);
    await new Promise<void>((resolve) => systemClock.after(-5, resolve));
    clearInterval(hold);
    expect(systemClock.monotonic()).toBeGreaterThan(0);
    const before = Date.now();
    const now = systemClock.now();
    expect(now).toBeGreaterThanOrEqual(before);
    expect(now).toBeLessThanOrEqual(Date.now());
  });

  test('a wait longer than a Node timer can take does not fire at once', async () => {
    let fired = false;
    const cancel = systemClock.after(2 ** 40, () => (fired = true));
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    cancel();
    expect(fired).toBe(false);
  });
});
