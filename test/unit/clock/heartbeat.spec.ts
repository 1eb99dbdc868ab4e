import { describe, expect, it } from '@jest/globals';
import { heartbeat } from '../../../lib/clock/heartbeat.js';
import { ManualClock } from '../../../lib/clock/manual-clock.js';

/** What is asked, each to be answered by the test. */
function started(ms: number) {
  const clock = new ManualClock();
  const asked: { resolve: () => void; reject: (error: Error) => void }[] = [];
  const failures: unknown[] = [];
  const ask = (): Promise<void> => new Promise<void>((resolve, reject) => asked.push({ resolve, reject }));
  const stop = heartbeat(clock, ms, ask, (error) => failures.push(error));
  return { clock, asked, failures, stop };
}

describe('heartbeat', () => {
  it('asks so long after each answer', async () => {
    const { clock, asked, failures } = started(10);
    await clock.advance(10);
    expect(asked).toHaveLength(1);
    await clock.advance(5);
    asked[0].resolve();
    await clock.advance(9);
    expect(asked).toHaveLength(1);
    await clock.advance(1);
    expect(asked).toHaveLength(2);
    expect(failures).toEqual([]);
  });

  it('ends with an error, and with an answer that does not come in time, and tells it', async () => {
    for (const end of [(one: ReturnType<typeof started>) => one.asked[0].reject(new Error('gone')), () => undefined]) {
      const one = started(10);
      await one.clock.advance(10);
      end(one);
      await one.clock.advance(10);
      expect(one.failures).toHaveLength(1);
      await one.clock.advance(100);
      expect(one.asked).toHaveLength(1);
      expect(one.clock.timerCount).toBe(0);
    }
  });

  it('asks no more once it is stopped, also where an answer is still on its way, and tells nothing', async () => {
    const { clock, asked, failures, stop } = started(10);
    await clock.advance(10);
    stop();
    asked[0].resolve();
    await clock.advance(100);
    expect(asked).toHaveLength(1);
    const other = started(10);
    await other.clock.advance(10);
    other.stop();
    other.asked[0].reject(new Error('closed'));
    await other.clock.advance(100);
    expect([failures, other.failures]).toEqual([[], []]);
  });
});
