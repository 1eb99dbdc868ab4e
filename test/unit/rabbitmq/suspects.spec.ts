import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import { Suspects } from '../../../lib/transports/rabbitmq/publishing/suspects.js';

describe('Suspects', () => {
  it('lets one probe at a time through, after each timeout later, up to a minute', async () => {
    const clock = new ManualClock();
    const suspects = new Suspects(clock);
    suspects.add('a', '«a»');
    const suspect = suspects.of('a')!;
    expect(suspect.error.message).toContain('«a»');
    const pauses: number[] = [];
    for (let timeout = 0; timeout < 9; timeout++) {
      expect(suspect.mayBeProbed).toBe(true);
      suspect.probed = true;
      expect(suspect.mayBeProbed).toBe(false);
      suspect.timedOut();
      suspect.probed = false;
      const begin = clock.monotonic();
      while (!suspect.mayBeProbed) await clock.advance(500);
      pauses.push(clock.monotonic() - begin);
    }
    expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  });

  it('forgets what has answered, and of too many the oldest', () => {
    const suspects = new Suspects(new ManualClock());
    for (let n = 0; n < 1_001; n++) suspects.add(String(n), String(n));
    expect([suspects.size, suspects.of('0'), suspects.of('1') === undefined]).toEqual([1_000, undefined, false]);
    suspects.acquit('1');
    expect([suspects.size, suspects.of('1')]).toEqual([999, undefined]);
  });
});
