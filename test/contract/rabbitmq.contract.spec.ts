import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type ContractCase, transportContract } from 'nestjs-messaging/testing';
import { describeRabbit, describeRabbitNode } from '../brokers/rabbitmq.js';
import { RabbitHarness } from './rabbitmq.harness.js';
import { skipped } from './skipped.js';

const runs = ({ unmet }: ContractCase): boolean => unmet.length === 0;

describeRabbit('transport contract', (rabbit) => {
  const harness = new RabbitHarness({
    name: `RabbitMQ ${rabbit.version}`,
    ours: rabbit.node !== undefined,
    alone: false,
  });
  const cases = transportContract(harness);
  const expected = rabbit.node
    ? [...skipped.rabbitmq, ...skipped.onSharedNode]
    : [...skipped.rabbitmq, ...skipped.byUrl];

  beforeAll(async () => harness.start(await rabbit.freshVhostUrl(), rabbit.node), 60_000);
  afterAll(() => harness.stop());

  for (const { name, run } of cases.filter(runs)) it(name, run);

  it('skips exactly the cases of the list', () => {
    const names = cases.filter((one) => !runs(one)).map(({ name }) => name);
    expect(names.sort()).toEqual([...expected].sort());
  });
});

/** The cases that need a broker to themselves. */
describeRabbitNode('transport contract, with the broker blocking', (rabbit) => {
  const shared = transportContract(new RabbitHarness({ name: 'shared', ours: true, alone: false }));
  const harness = new RabbitHarness({ name: `RabbitMQ ${rabbit.version}`, ours: true, alone: true });
  const cases = transportContract(harness).filter((_, index) => !runs(shared[index]));

  beforeAll(async () => {
    const node = await rabbit.start();
    await harness.start(node.url(), node);
  }, 60_000);
  afterAll(() => harness.stop());

  for (const { name, run } of cases.filter(runs)) it(name, run);

  it('leaves out exactly the cases of the list', () => {
    expect(cases.filter((one) => !runs(one)).map(({ name }) => name)).toEqual(skipped.rabbitmq);
    expect(cases.filter(runs).map(({ name }) => name)).toEqual(skipped.onSharedNode);
  });
});
