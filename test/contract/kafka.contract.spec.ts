import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { transportContract } from 'nestjs-messaging/testing';
import { freePorts } from '../brokers/free-ports.js';
import { describeKafka } from '../brokers/kafka.js';
import { KafkaHarness, user } from './kafka.harness.js';
import { skipped } from './skipped.js';

jest.setTimeout(90_000);

describeKafka(
  'transport contract',
  (kafka) => {
    const harness = new KafkaHarness();
    const cases = transportContract(harness);

    beforeAll(async () => {
      const [port] = await freePorts(1);
      await harness.start((at, advertised) => kafka.start({ port: at, advertised, user }), port);
    });
    afterAll(() => harness.stop());

    for (const { name, unmet, run } of cases) if (unmet.length === 0) it(name, run);

    it('skips exactly the cases of the list', () => {
      const names = cases.filter(({ unmet }) => unmet.length > 0).map(({ name }) => name);
      expect(names.sort()).toEqual([...skipped.kafka].sort());
    });
  },
  { own: true },
);
