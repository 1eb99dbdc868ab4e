import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runScenario, type ScenarioTrace, type TransportHarness } from 'nestjs-messaging/testing';
import { describeNats } from '../brokers/nats.js';
import { describeRabbit } from '../brokers/rabbitmq.js';
import { memoryHarness } from './memory.harness.js';
import { NatsHarness } from './nats.harness.js';
import { plantedFaults } from './planted-faults.js';
import { RabbitHarness } from './rabbitmq.harness.js';

/** Always the same ones, one more by chance, or (`SCENARIO_SEEDS=…`) those that have to be looked at again. */
const seeds = process.env.SCENARIO_SEEDS
  ? process.env.SCENARIO_SEEDS.split(',').map(Number)
  : [1, 2, 3, 4, Math.floor(Math.random() * 1_000_000)];

/** The trace on a real broker is that of the memory broker. What differs says how to repeat it, with all that came before. */
async function expectTraceOfMemory(harness: TransportHarness, seed: number): Promise<void> {
  try {
    expect(await runScenario(harness, seed)).toEqual(await runScenario(memoryHarness(), seed));
  } catch (error) {
    const again = `SCENARIO_SEEDS=${seeds.join(',')} npm test -- test/contract/scenario.spec.ts -t '${harness.name}'`;
    throw new Error(`Seed ${seed}: ${(error as Error).message}\nTo repeat it: ${again}`, { cause: error });
  }
}

const outcomes = ({ groups }: ScenarioTrace): string[] => Object.values(groups).flatMap((group) => group.outcomes);

describe('random scenarios: memory', () => {
  it.each(seeds)('seed %i gives the same trace twice', async (seed) => {
    const trace = await runScenario(memoryHarness(), seed);
    expect(await runScenario(memoryHarness(), seed)).toEqual(trace);
  });

  it('between them they release, retry, dead-letter, lose and refuse', async () => {
    const traces = [];
    for (const seed of [1, 2, 3, 4, 5, 6]) traces.push(await runScenario(memoryHarness(), seed));
    const all = traces.flatMap(outcomes).join('\n');
    for (const word of ['released', 'retried', 'copy acked', 'dead-lettered', 'acked']) expect(all).toContain(word);
    const results = traces.flatMap(({ published }) => published).join('\n');
    for (const word of ['confirmed', 'failed, confirmed', 'unroutable']) expect(results).toContain(word);
    const lost = traces.flatMap(({ groups }) => Object.values(groups).flatMap((group) => group.lost.flat()));
    expect(lost.length).toBeGreaterThan(5);
  });
});

describe('random scenarios notice', () => {
  const faults = ['throws away what is released', 'forgets its consumers on reconnect', 'leaks retries to everybody'];

  it.each(plantedFaults.filter(({ fault }) => faults.includes(fault)))('a transport that $fault', async ({ plant }) => {
    const clean = memoryHarness();
    const planted = { ...clean, patienceMs: 2_000, create: () => new plant(clean.create()) };
    const results = seeds.slice(0, 3).map((seed) => async () => {
      expect(await runScenario(planted, seed)).toEqual(await runScenario(memoryHarness(), seed));
    });
    let noticed = 0;
    for (const result of results) await result().catch(() => noticed++);
    expect(noticed).toBeGreaterThan(0);
  });
});

describeRabbit('random scenarios', (rabbit) => {
  const harness = new RabbitHarness({
    name: `RabbitMQ ${rabbit.version}`,
    ours: rabbit.node !== undefined,
    alone: false,
  });

  beforeAll(async () => harness.start(await rabbit.freshVhostUrl(), rabbit.node), 60_000);
  afterAll(() => harness.stop());

  it.each(seeds)('seed %i gives the trace that memory gives', (seed) => expectTraceOfMemory(harness, seed));
});

describeNats('random scenarios', (nats) => {
  const harness = new NatsHarness(`NATS ${nats.version}`, false);

  beforeAll(async () => harness.start(await nats.url()));
  afterAll(() => harness.stop());

  it.each(seeds)('seed %i gives the trace that memory gives', (seed) => expectTraceOfMemory(harness, seed));
});
