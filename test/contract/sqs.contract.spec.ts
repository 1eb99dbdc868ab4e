import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { transportContract } from 'nestjs-messaging/testing';
import { describeSqs } from '../brokers/sqs.js';
import { skipped } from './skipped.js';
import { SqsHarness } from './sqs.harness.js';

jest.setTimeout(60_000);

describeSqs('transport contract', (sqs) => {
  const harness = new SqsHarness(sqs.emulator);
  const cases = transportContract(harness);

  beforeAll(async () => harness.start(await sqs.url()));
  afterAll(() => harness.stop());

  for (const { name, unmet, run } of cases) if (unmet.length === 0) it(name, run);

  it('skips exactly the cases of the list', () => {
    const names = cases.filter(({ unmet }) => unmet.length > 0).map(({ name }) => name);
    expect(names.sort()).toEqual([...(sqs.emulator === 'moto' ? skipped.sqsByMoto : skipped.sqs)].sort());
  });
});
