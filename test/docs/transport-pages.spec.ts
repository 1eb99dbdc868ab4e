import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { TRANSPORTS } from '../fault/transport-faults.js';
import { Markdown } from './markdown.js';

const HEADINGS = [
  'What is guaranteed',
  'Order',
  'How it works',
  'Delays',
  'Dead letters',
  'Queues',
  'Permissions',
  'Watch',
  'Not shown',
  'Besides',
];

describe.each(TRANSPORTS)('docs/%s.md', (transport) => {
  const page = Markdown.read(`docs/${transport}.md`);

  test('has the headings of every transport, in their order, and something below each', () => {
    const headings = [...page.text.matchAll(/^## (.*)$/gm)].map(([, title]) => title);
    expect(headings).toEqual(HEADINGS);
    for (const title of HEADINGS)
      expect(page.section(title).text.split('\n').slice(1).join('').length).toBeGreaterThan(15);
  });

  test('begins with an example of the transport, and leads to its options', () => {
    const [{ code }] = page.blocks('ts');
    expect(code).toContain(`transport: ${transport}(`);
    expect(page.links()).toContain(`options.md#${transport}`);
  });

  test('is where the other pages say', () => {
    const row = new RegExp(`^\\| \\[.*\\]\\(docs/${transport}\\.md\\)`, 'm');
    expect(readFileSync(resolve(__dirname, '../../README.md'), 'utf8')).toMatch(row);
    expect(Markdown.read('docs/options.md').section(transport).links()).toContain(`${transport}.md`);
  });
});
