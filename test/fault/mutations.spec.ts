import { execFileSync } from 'node:child_process';
import { expect, test } from '@jest/globals';

function stale(mutations: unknown): string[] {
  const program = `
    import { staleEntries } from './test/fault/mutations/plant.mjs';
    console.log(JSON.stringify(staleEntries(${JSON.stringify(mutations)}, '.')));`;
  return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8' }));
}

test('every planted fault has its place in the package, once, and a test that is there', () => {
  execFileSync(process.execPath, ['test/fault/mutations/run.mjs', '--check'], { stdio: 'pipe' });
});

test('one that lost its place, or its test, is refused with what is wrong', () => {
  const file = 'test/fault/checker.spec.ts';
  const caughtBy = { file, test: 'finds a planted loss' };
  const text = 'lib/consumer/settlement/settlement.ts';
  expect(
    stale([
      { name: 'gone', edits: [['lib/consumer/no-such.ts', 'a', 'b']], caughtBy },
      { name: 'changed', edits: [[text, 'no such line', '']], caughtBy },
      { name: 'ambiguous', edits: [[text, 'import', '']], caughtBy },
      { name: 'untested', edits: [], caughtBy: { file, test: 'no such test' } },
      { name: 'no cell', edits: [], caughtBy: { cell: 'no-such-cell' } },
      { name: 'good', edits: [[text, 'export class Settlement {', '']], caughtBy },
    ]),
  ).toEqual([
    '«gone»: there is no lib/consumer/no-such.ts',
    '«changed»: lib/consumer/settlement/settlement.ts has this 0 times, not once: no such line',
    expect.stringMatching(
      /^«ambiguous»: lib\/consumer\/settlement\/settlement\.ts has this \d+ times, not once: import$/,
    ),
    '«untested»: no test in test/fault/checker.spec.ts is called «no such test»',
    '«no cell»: no cell is called «no-such-cell»',
  ]);
});
