import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { Markdown } from './markdown.js';

const root = resolve(__dirname, '../..');
const docs = readdirSync(resolve(root, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`);
const pages = ['README.md', 'CONTRIBUTING.md', 'findings/README.md', ...docs];

describe.each(pages)('%s', (path) => {
  const page = Markdown.read(path);

  test('has links that lead to a page and a heading', () => {
    const local = page.links().filter((link) => !/^[a-z]+:/.test(link));
    const broken = local.filter((link) => {
      const [file, anchor] = link.split('#');
      const target = file === '' ? path : join(dirname(path), file);
      if (!existsSync(resolve(root, target))) return true;
      return anchor !== undefined && !Markdown.read(target).anchors().includes(anchor);
    });
    expect(broken).toEqual([]);
  });
});

describe.each(['README.md', ...docs])('%s', (path) => {
  test('has no paragraph over 600 characters', () => {
    const long = Markdown.read(path)
      .paragraphs()
      .filter((text) => text.length > 600)
      .map((text) => `${text.length}: ${text.slice(0, 60)}…`);
    expect(long).toEqual([]);
  });
});

test('README.md has 200 lines at most', () => {
  expect(Markdown.read('README.md').text.trimEnd().split('\n').length).toBeLessThanOrEqual(200);
});

test('every page in docs is in docs/README.md', () => {
  const linked = Markdown.read('docs/README.md').links();
  for (const path of docs) if (path !== 'docs/README.md') expect(linked).toContain(path.replace('docs/', ''));
});

test('the files in the journey of a message, in docs/architecture.md, exist', () => {
  const [{ code }] = Markdown.read('docs/architecture.md').section('The journey of a message').blocks('text');
  const files = code.match(/[\w-]+(?:\/[\w-]+)*\.ts/g)!;
  expect(files.length).toBeGreaterThan(15);
  expect(files.filter((file) => !existsSync(resolve(root, 'lib', file)))).toEqual([]);
});

test('the words of lib/message/message.ts are in docs/glossary.md', () => {
  const source = readFileSync(resolve(root, 'lib/message/message.ts'), 'utf8');
  const words = [...source.matchAll(/^ \* ([a-z ]+?) {2,}\S/gm)].map(([, word]) => word);
  expect(words.length).toBeGreaterThan(8);
  const documented = Markdown.read('docs/glossary.md')
    .table()
    .map(({ word }) => word);
  expect(documented).toEqual(expect.arrayContaining(words));
});
