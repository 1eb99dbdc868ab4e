import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { describeRabbitNode } from '../brokers/rabbitmq.js';
import type { RabbitNode } from '../brokers/rabbitmq/node.js';
import { newDirectory } from '../brokers/run-directory.js';
import { faults } from './faults/all.js';
import { lineOf, prepareNode, runCell } from './matrix.js';
import { measured } from './measured-faults.js';

/** The whole matrix is `npm run test:fault`; to run a seed of it again, FAULT_SEED. */
const seed = Number(process.env.FAULT_SEED ?? 1);

describeRabbitNode('the short part of the fault matrix', (rabbit) => {
  let node: RabbitNode;
  let compiled: string;
  let directory: string;

  beforeAll(async () => {
    compiled = execFileSync(process.execPath, ['test/fault/compile.mjs', `jest-${process.pid}`], {
      encoding: 'utf8',
    }).trim();
    directory = newDirectory('fault');
    node = await rabbit.start();
    await prepareNode(node);
  }, 60_000);

  afterAll(() => {
    for (const made of [compiled, directory]) if (made) rmSync(made, { recursive: true, force: true });
  });

  const cells = faults.flatMap((fault) =>
    (fault.short ?? []).map((consumerKind) => ({ fault, title: fault.title, consumerKind })),
  );
  test.each(cells)(
    `$title, $consumerKind (seed ${seed})`,
    async ({ fault, consumerKind }) => {
      const place = {
        version: rabbit.version,
        node,
        queueType: 'quorum' as const,
        consumerKind,
        seed,
        compiled,
        directory,
        many: 300,
      };
      const result = await runCell(fault, place);
      if (result.problems.length > 0) throw new Error(lineOf(result));
    },
    120_000,
  );
});

describe('the faults measured elsewhere', () => {
  test.each(measured)('$fault: shown by a test of ours', ({ shownBy }) => {
    expect(shownBy.length).toBeGreaterThan(0);
    for (const { file, name } of shownBy) {
      if (file === undefined) expect(faults.map((fault) => fault.name)).toContain(name);
      else expect(readFileSync(file, 'utf8')).toContain(name);
    }
  });
});
