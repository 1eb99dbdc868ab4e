import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import { answered } from '../../../lib/clock/answered.js';

const never = new Promise<string>(() => {});

describe('answered', () => {
  it('gives the answer, and its error', async () => {
    const clock = new ManualClock();
    await expect(answered(Promise.resolve('yes'), { clock, ms: 10 })).resolves.toBe('yes');
    await expect(answered(Promise.reject(new Error('no')), { clock, ms: 10 })).rejects.toThrow('no');
  });

  it('rejects when no answer comes in time, and then says so to whoever has to clean up', async () => {
    const clock = new ManualClock();
    let late = 0;
    const answer = answered(never, { clock, ms: 10 }, () => late++);
    const given = expect(answer).rejects.toThrow('no answer within 10 ms');
    await clock.advance(9);
    expect(late).toBe(0);
    await clock.advance(1);
    expect(late).toBe(1);
    await given;
  });

  it('is not late after an answer', async () => {
    const clock = new ManualClock();
    let late = 0;
    await answered(Promise.resolve(), { clock, ms: 10 }, () => late++);
    await clock.advance(20);
    expect(late).toBe(0);
  });
});
