import { Writable } from 'node:stream';
import { expect, test } from '@jest/globals';
import { main } from '../../../lib/cli/main.js';

async function told(...args: string[]): Promise<string> {
  let text = '';
  const output = new Writable({
    write(chunk: Buffer, _, done) {
      text += chunk.toString();
      done();
    },
  });
  expect(await main(args, { stdout: output, stderr: output, env: {} })).toBe(2);
  return text;
}

test.each<[string[], string]>([
  [['dead-leters', 'list'], 'There is no command «dead-leters». Did you mean «dead-letters»'],
  [['dead-letters', 'lst'], 'There is no command «dead-letters lst». Did you mean «dead-letters list»'],
  [['requeu'], 'There is no command «requeu». Did you mean «requeue»'],
  [['dead-letters'], 'There are: dead-letters list, dead-letters show, dead-letters redrive, dead-letters delete'],
  [['dead-letters', '--queue', 'q'], 'There are: dead-letters list, '],
  [['dead-letters', 'list', '--limt', '5'], "Unknown option '--limt'. Did you mean «--limit»"],
  [['requeue', '--data-dri', 'x'], "Unknown option '--data-dri'. Did you mean «--data-dir»"],
  [['nonsense'], 'There is no command «nonsense». See nestjs-messaging --help'],
])('%j says what was meant', async (args, said) => {
  expect(await told(...args)).toContain(said);
});
