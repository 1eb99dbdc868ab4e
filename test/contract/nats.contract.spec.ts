import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { transportContract } from 'nestjs-messaging/testing';
import { describeNats } from '../brokers/nats.js';
import { NatsHarness } from './nats.harness.js';
import { secret } from './proxied.harness.js';
import { skipped } from './skipped.js';

describeNats('transport contract', (nats) => {
  const harness = new NatsHarness(`NATS ${nats.version}`, nats.ours);
  const cases = transportContract(harness);

  beforeAll(async () => {
    if (!nats.ours) return harness.start(nats.sharedUrl!);
    const server = await nats.start({ user: { name: 'contract', password: secret } });
    await harness.start(server.url, server);
  });
  afterAll(() => harness.stop());

  for (const { name, unmet, run } of cases) if (unmet.length === 0) it(name, run);

  it('skips exactly the cases of the list', () => {
    const names = cases.filter(({ unmet }) => unmet.length > 0).map(({ name }) => name);
    expect(names.sort()).toEqual([...(nats.ours ? skipped.nats : skipped.natsByUrl)].sort());
  });
});
