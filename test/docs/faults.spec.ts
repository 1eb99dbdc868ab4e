import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { skipped } from '../contract/skipped.js';
import { faults } from '../fault/faults/all.js';
import { introduction, measuredSection, transportsSection } from '../fault/report.js';
import { transportFaults, TRANSPORTS } from '../fault/transport-faults.js';
import { Markdown } from './markdown.js';

const root = resolve(__dirname, '../..');
const CONTRACT = resolve(root, 'lib/testing/contract');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

/** The names of the cases of the contract, wherever they stand. */
const contractCases = (read('lib/testing/transport-contract.ts').match(/[\w-]+\.cases/g) ?? [])
  .map((file) => readFileSync(join(CONTRACT, `${file}.ts`), 'utf8'))
  .join('\n');

const shown = transportFaults.flatMap(({ fault, shown: cells }) =>
  TRANSPORTS.flatMap((transport) => {
    const cell = cells[transport];
    return 'absent' in cell ? [] : cell.map((where) => ({ fault, transport, ...where }));
  }),
);

describe('docs/faults.md', () => {
  test('says what the code that writes it says', () => {
    const { text } = Markdown.read('docs/faults.md');
    for (const section of [[introduction], transportsSection(), measuredSection()])
      expect(text).toContain(section.join('\n\n'));
  });

  test.each(shown)('$fault, on $transport: «$name» is a test, and runs', ({ transport, file, name }) => {
    if (file === undefined) expect(faults.map((fault) => fault.name)).toContain(name);
    else if (file.startsWith('test/contract/')) {
      expect(read(file)).toContain('transportContract(');
      expect(contractCases).toContain(`name: '${name}`);
      expect(skipped[transport].filter((title) => title.startsWith(name))).toEqual([]);
    } else expect(read(file)).toContain(name);
  });
});
