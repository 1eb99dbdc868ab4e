import { describe, expect, it } from '@jest/globals';
import { transportContract } from 'nestjs-messaging/testing';
import type { Transport } from '../../lib/transport/transport.js';
import { memoryHarness } from './memory.harness.js';
import { Faultless, plantedFaults } from './planted-faults.js';

/** The names of the cases that a transport fails. */
async function failures(Planted: new (inner: Transport) => Transport): Promise<string[]> {
  const clean = memoryHarness();
  const cases = transportContract({ ...clean, patienceMs: 3_000, create: () => new Planted(clean.create()) });
  const failed: string[] = [];
  for (const { name, unmet, run } of cases) {
    if (unmet.length > 0) continue;
    await run().catch(() => failed.push(name));
    clean.broker.faults.clear();
  }
  return failed;
}

describe('the transport contract notices', () => {
  for (const { fault, plant, noticedBy } of plantedFaults) {
    it(`a transport that ${fault}`, async () => expect(await failures(plant)).toContain(noticedBy));
  }

  it('nothing where there is nothing', async () => expect(await failures(Faultless)).toEqual([]));
});
