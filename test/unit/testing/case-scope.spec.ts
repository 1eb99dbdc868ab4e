import { expect, it } from '@jest/globals';
import { systemClock } from '../../../lib/clock/clock.js';
import { CaseScope } from '../../../lib/testing/contract/case-scope.js';
import type { TransportHarness } from '../../../lib/testing/transport-harness.js';

it('a condition that wakes its own waiter keeps nothing out that the event loop brings', async () => {
  const harness = { environment: () => ({ clock: systemClock }) } as TransportHarness;
  const scope = new CaseScope(harness);
  let came = false;
  setImmediate(() => (came = true));
  let looks = 0;
  await scope.eventually(async () => {
    looks++;
    await scope.settled(Promise.resolve(), 'what is settled already');
    // A loop without a turn would go on for ever.
    return came || looks > 10_000;
  }, 'what the event loop brings');
  expect({ came, looks: looks < 10 }).toEqual({ came: true, looks: true });
});
