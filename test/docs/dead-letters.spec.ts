import { describe, expect, test } from '@jest/globals';
import { COMMANDS } from '../../lib/cli/command-list.js';
import { compileSelection } from '../../lib/dead-letter/dead-letter-selection.js';
import { resolveRedrive } from '../../lib/dead-letter/redrive-options.js';
import { type InvalidOptionError } from '../../lib/errors/configuration-errors.js';
import { code, Markdown } from './markdown.js';

const doc = Markdown.read('docs/dead-letters.md');

/** The names that the code knows, as it tells them to who uses another. */
function known(use: (unknown: object) => unknown): string[] {
  try {
    use({ nonsense: 1 });
  } catch (error) {
    return (error as InvalidOptionError).allowed.replace(/^.*are: /, '').split(', ');
  }
  throw new Error('A name that does not exist was accepted');
}

const column = (section: string, name: string): string[] =>
  doc
    .section(section)
    .table()
    .map((row) => code(row[name]));

describe('docs/dead-letters.md', () => {
  test('lists the conditions and options of the code', () => {
    expect(column('Selecting', 'condition').sort()).toEqual(known((unknown) => compileSelection(unknown, 0)).sort());
    expect(column('Redriving', 'option').sort()).toEqual(known((unknown) => resolveRedrive(unknown)).sort());
  });

  test('tells the defaults of canaries', () => {
    const { stages, windowMs } = resolveRedrive({ canary: true });
    const row = doc
      .section('Redriving')
      .table()
      .find(({ option }) => option === '`canary`')!;
    expect(row.what).toContain(
      `{ stages: [${stages.join(', ')}], window: ${windowMs.toLocaleString('en').replace(',', '_')} }`,
    );
  });

  test('tells the places that the commands have beside a queue', () => {
    const places = column('Archives, retry queues and requeue services', 'flag').map((flag) => flag.split(' ')[0]);
    for (const { flags } of COMMANDS.filter(({ name }) => name.startsWith('dead-letters ')))
      expect(flags.map(({ name }) => `--${name}`)).toEqual(expect.arrayContaining(['--queue', ...places]));
  });
});
