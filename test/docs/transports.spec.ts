import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { code, Markdown } from './markdown.js';

const root = resolve(__dirname, '../..');
const MOST_EDITS = 15;

const edits = Markdown.read('docs/writing-a-transport.md').section('Edits outside the folder').table();
/** Those that users import: with an `index.ts`. */
const transports = readdirSync(resolve(root, 'lib/transports')).filter(
  (name) => name !== 'kit' && existsSync(resolve(root, 'lib/transports', name, 'index.ts')),
);

/** The text without what stands there for another reason than that of the row. */
function textOf(file: string): string {
  const text = readFileSync(resolve(root, file), 'utf8');
  if (file !== 'package.json') return text;
  const { peerDependenciesMeta, keywords } = JSON.parse(text) as Record<string, unknown>;
  return JSON.stringify([peerDependenciesMeta, keywords]);
}

describe('docs/writing-a-transport.md', () => {
  test(`says that a transport takes at most ${MOST_EDITS} edits outside of its folder`, () => {
    expect(edits.length).toBeGreaterThan(5);
    // With the budget of lines, which stands below the table.
    expect(edits.length + 1).toBeLessThanOrEqual(MOST_EDITS);
  });

  const rows = transports.flatMap((transport) =>
    edits.map((row) => ({ transport, file: code(row.file), what: row.what })),
  );

  test.each(rows)('$transport is in $file: $what', ({ transport, file }) => {
    expect({ file, names: textOf(file).toLowerCase().includes(transport) }).toEqual({ file, names: true });
  });

  test.each(transports)('%s has its contract, and a broker to run it on', (transport) => {
    const [contract, brokers] = ['test/contract', 'test/brokers'].map((folder) => readdirSync(resolve(root, folder)));
    expect(contract).toEqual(expect.arrayContaining([`${transport}.harness.ts`, `${transport}.contract.spec.ts`]));
    expect(brokers).toContain(transport);
    expect(readdirSync(resolve(root, 'test/brokers', transport))).toContain('provide.ts');
  });
});
