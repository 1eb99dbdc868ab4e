import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { Markdown } from './markdown.js';

const page = Markdown.read('docs/operating.md');
const lib = resolve(__dirname, '../../lib');
/** The sources, with each value that is put into a text as `…`, and texts in several parts as one. */
const source = readdirSync(lib, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => readFileSync(join(lib, name), 'utf8'))
  .join('\n')
  .replace(/\$\{(?:[^{}]|\{[^{}]*\})*\}/g, '…')
  .replace(/[`'"] \+\n\s*[`'"]/g, '')
  .replaceAll('\\n', ' ');

/** What stands between the places of names and numbers; too short a piece says nothing. */
const pieces = (text: string): string[] =>
  text
    .split('…')
    .map((piece) => piece.trim())
    .filter((piece) => piece.length > 3);
const unknown = (text: string): string[] => pieces(text).filter((piece) => !source.includes(piece));

const alarms = [...page.section('Alarms').text.matchAll(/^### (.*)$/gm)].map(([, title]) => title);

describe('docs/operating.md, the alarms', () => {
  test.each(alarms)('%s: it says what it means and what to do', (title) => {
    const items = page.section(title).paragraphs();
    expect(items.map((item) => /^- (\w+): /.exec(item)?.[1])).toEqual(['Says', 'Means', 'Do']);
  });

  const lines = page
    .section('Alarms')
    .inlineCode()
    .filter((text) => /^(error|warn|log): /.test(text));

  test.each(lines)('the log can say «%s»', (line) => {
    expect(unknown(line.replace(/^\w+: /, ''))).toEqual([]);
  });

  const reasons = [...page.section('Alarms').text.matchAll(/«([^»`]*…[^»`]*)»(?=[^`]*(?:`[^`]*`[^`]*)*$)/gm)].map(
    ([, text]) => text,
  );

  test.each(reasons)('health can give the reason «%s»', (reason) => {
    expect(unknown(reason)).toEqual([]);
  });

  test('there are some of both', () => {
    expect(lines.length).toBeGreaterThan(25);
    expect(reasons.length).toBeGreaterThan(4);
  });
});
