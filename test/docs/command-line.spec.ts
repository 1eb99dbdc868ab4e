import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { EXIT } from '../../lib/cli/command.js';
import { COMMANDS } from '../../lib/cli/command-list.js';
import { code, Markdown } from './markdown.js';

const page = Markdown.read('docs/command-line.md');
const column = (section: string, name: string): string[] =>
  page
    .section(section)
    .table()
    .map((row) => row[name]);

/** Every line of shell in the documents that calls a command. */
const lines = readdirSync(resolve(__dirname, '../../docs'))
  .filter((name) => name.endsWith('.md'))
  .flatMap((name) => Markdown.read(`docs/${name}`).blocks('sh'))
  .flatMap(({ code: text }) => text.split('\n'))
  .flatMap(
    (line) =>
      line.match(
        /nestjs-messaging ((asyncapi|dashboard|dead-letters|queues|completion|requeue|topology|transactions)\b[^")#|]*)/,
      )?.[1] ?? [],
  );

describe('docs/command-line.md', () => {
  test('has every command', () => {
    expect(page.table().map((row) => code(row.command))).toEqual(COMMANDS.map(({ name }) => name));
  });

  test('tells the exit codes', () => {
    expect(column('Exit codes', 'exit code').map((cell) => Number(code(cell)))).toEqual(Object.values(EXIT));
  });

  test('tells the schemes, and the options that go with each', () => {
    const flags = COMMANDS.find(({ name }) => name === 'queues')!.flags.map(({ name }) => `--${name}`);
    const told = column('The broker', 'options').flatMap((cell) => cell.match(/--[\w-]+/g) ?? []);
    expect(told).toEqual([
      '--exchange',
      '--stream',
      '--creds',
      '--schema',
      '--prefix',
      '--topic',
      '--mechanism',
      '--queue-prefix',
    ]);
    expect(flags).toEqual(expect.arrayContaining(told));
  });
});

test('the documents call commands that exist, with options that exist', () => {
  expect(lines.length).toBeGreaterThan(14);
  for (const line of lines) {
    const words = line.trim().split(/\s+/);
    const names = COMMANDS.filter(({ name }) => `${words.join(' ')} `.startsWith(`${name} `));
    const command = names.sort((one, other) => other.name.length - one.name.length)[0];
    const options = words.filter((word) => word.startsWith('--'));
    expect({ line, known: command?.flags.map(({ name }) => `--${name}`) }).toEqual({
      line,
      known: expect.arrayContaining(options),
    });
  }
});
