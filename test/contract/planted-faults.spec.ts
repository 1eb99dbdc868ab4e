import { describe, expect, it } from '@jest/globals';
import { transportContract } from 'nestjs-messaging/testing';
import type { Transport } from '../../lib/transport/transport.js';
import { leasing } from '../unit/support/leasing.js';
import { memoryHarness } from './memory.harness.js';
import { Faultless, plantedFaults } from './planted-faults.js';

/** The names of the cases that a transport fails. */
async function failures(Planted: new (inner: Transport) => Transport, leased = false): Promise<string[]> {
  const memory = memoryHarness();
  const clean = leased ? leasing(memory, 5_000) : memory;
  const create = (): Transport => new Planted(clean.create());
  const cases = transportContract({ ...clean, patienceMs: 3_000, create, capabilities: create().capabilities });
  const failed: string[] = [];
  for (const { name, needs, unmet, run } of cases) {
    // Others hold what they get for longer than a lease, which nobody extends for them.
    if (unmet.length > 0 || (leased && !needs.includes('lease'))) continue;
    await run().catch(() => failed.push(name));
    clean.broker.faults.clear();
  }
  return failed;
}

describe('the transport contract notices', () => {
  for (const { fault, plant, noticedBy, leased } of plantedFaults) {
    it(`a transport that ${fault}`, async () => expect(await failures(plant, leased)).toContain(noticedBy));
  }

  it('nothing where there is nothing', async () => {
    expect(await failures(Faultless)).toEqual([]);
    expect(await failures(Faultless, true)).toEqual([]);
  });
});
