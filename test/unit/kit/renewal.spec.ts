import { expect, it } from '@jest/globals';
import { ManualClock } from '../../../lib/clock/manual-clock.js';
import { Renewal, RENEWAL_INTERVAL_MS } from '../../../lib/transports/kit/renewal.js';

it('renews every interval until it is stopped, the next time after the last one has ended', async () => {
  const clock = new ManualClock();
  const ends: (() => void)[] = [];
  const renewal = new Renewal(
    { clock, random: () => 0.5 },
    () => new Promise<void>((resolve) => void ends.push(resolve)),
  );
  renewal.start();
  await clock.advance(RENEWAL_INTERVAL_MS - 1);
  expect(ends).toHaveLength(0);
  await clock.advance(1);
  expect(ends).toHaveLength(1);
  await clock.advance(3 * RENEWAL_INTERVAL_MS);
  expect(ends).toHaveLength(1);
  ends[0]();
  await clock.advance(RENEWAL_INTERVAL_MS);
  expect(ends).toHaveLength(2);
  renewal.stop();
  ends[1]();
  await clock.advance(3 * RENEWAL_INTERVAL_MS);
  expect(ends).toHaveLength(2);
});

it('comes up to a fifth earlier or later, so that processes do not come all at once', async () => {
  const clock = new ManualClock();
  let renewed = 0;
  const renewal = new Renewal({ clock, random: () => 0 }, async () => void renewed++);
  renewal.start();
  await clock.advance(0.8 * RENEWAL_INTERVAL_MS - 1);
  expect(renewed).toBe(0);
  await clock.advance(1);
  expect(renewed).toBe(1);
  renewal.stop();
});
