import { describe, expect, it } from '@jest/globals';
import { transportContract } from 'nestjs-messaging/testing';
import { leasing } from '../unit/support/leasing.js';
import { queueless } from '../unit/support/queueless.js';
import { redelivering } from '../unit/support/redelivering.js';
import { memoryHarness } from './memory.harness.js';
import { skipped } from './skipped.js';

describe('transport contract: memory', () => {
  const cases = transportContract(memoryHarness());

  for (const { name, run } of cases.filter(({ unmet }) => unmet.length === 0)) it(name, run);

  it('skips exactly the cases of the list', () => {
    expect(cases.filter(({ unmet }) => unmet.length > 0).map(({ name }) => name)).toEqual(skipped.memory);
  });

  describe('where it retries by redelivery', () => {
    const harness = memoryHarness();
    const factory = redelivering(harness);
    const { capabilities } = factory.create();
    const more = transportContract({ ...harness, ...factory, capabilities }).filter(
      ({ name, unmet }) => unmet.length === 0 && skipped.memory.includes(name),
    );

    for (const { name, run } of more) it(name, run);

    it('runs the cases of that', () => expect(more).toHaveLength(2));
  });

  describe('where it leases what it delivers', () => {
    const harness = memoryHarness();
    const factory = leasing(harness, 5_000);
    const { capabilities } = factory.create();
    const more = transportContract({ ...harness, ...factory, capabilities }).filter(({ needs }) =>
      needs.includes('lease'),
    );

    for (const { name, run } of more) it(name, run);

    it('runs the cases of that', () => expect(more).toHaveLength(2));
  });

  describe('where its queues cannot be looked into', () => {
    const harness = { ...queueless(memoryHarness()), lacks: ['queues'] as const };
    const more = transportContract(harness).filter(({ name }) => !skipped.memory.includes(name));

    for (const { name, unmet, run } of more) if (unmet.length === 0) it(name, run);

    it('leaves out the cases that look into them, and no others', () => {
      const left = more.filter(({ unmet }) => unmet.length > 0);
      expect(new Set(left.flatMap(({ unmet }) => unmet))).toEqual(new Set(['queues']));
      expect(left.length).toBeLessThan(45);
    });
  });

  it('names every case once', () => {
    const names = cases.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });
});
