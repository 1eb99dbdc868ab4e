import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { Markdown } from './markdown.js';

const root = resolve(__dirname, '../..');
const docs = readdirSync(resolve(root, 'docs')).map((name) => `docs/${name}`);
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

test('README.md has 200 lines at most', () => {
  expect(Markdown.read('README.md').text.trimEnd().split('\n').length).toBeLessThanOrEqual(200);
});

test('every page in docs is in docs/README.md', () => {
  const linked = Markdown.read('docs/README.md').links();
  for (const path of docs) if (path !== 'docs/README.md') expect(linked).toContain(path.replace('docs/', ''));
});
