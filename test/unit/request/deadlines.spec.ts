import { expect, test } from '@jest/globals';
import { ManualClock } from 'nestjs-messaging/testing';
import { Deadlines, type Timed } from '../../../lib/request/deadlines.js';

test('what ended early leaves a bounded number of timers, however many durations there were; what is left ends in time', async () => {
  const clock = new ManualClock();
  const expired: number[] = [];
  const deadlines = new Deadlines<Timed>(clock, ({ at }) => expired.push(at - start));
  const start = clock.monotonic();
  for (let ms = 3_600_000; ms < 3_601_000; ms += 0.5) {
    const timed = { at: start + ms };
    deadlines.add(timed, ms);
    deadlines.delete(timed, ms);
  }
  expect(clock.timerCount).toBeLessThanOrEqual(101);
  for (const ms of [500, 3_600_000]) deadlines.add({ at: start + ms }, ms);
  await clock.advance(3_600_000);
  expect(expired).toEqual([500, 3_600_000]);
  await clock.advance(3_601_000);
  expect(clock.timerCount).toBe(0);
});
