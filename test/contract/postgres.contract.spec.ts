import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { transportContract } from 'nestjs-messaging/testing';
import { describePostgres } from '../brokers/postgres.js';
import { PostgresHarness } from './postgres.harness.js';
import { secret } from './proxied.harness.js';
import { skipped } from './skipped.js';

describePostgres('transport contract', (postgres) => {
  const harness = new PostgresHarness(`PostgreSQL ${postgres.version}`, postgres.ours);
  const cases = transportContract(harness);

  beforeAll(async () => {
    if (!postgres.ours) return harness.start(postgres.sharedUrl!);
    const server = await postgres.start({ password: secret });
    await harness.start(await server.createDatabase(), server);
  });
  afterAll(() => harness.stop());

  for (const { name, unmet, run } of cases) if (unmet.length === 0) it(name, run);

  it('skips exactly the cases of the list', () => {
    const names = cases.filter(({ unmet }) => unmet.length > 0).map(({ name }) => name);
    expect(names.sort()).toEqual([...(postgres.ours ? skipped.postgres : skipped.postgresByUrl)].sort());
  });
});
