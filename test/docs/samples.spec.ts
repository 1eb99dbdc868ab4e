import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

const root = resolve(__dirname, '../..');
const samples = JSON.parse(readFileSync(join(root, 'sample/samples.json'), 'utf8')) as Record<string, string>;

describe('the list of samples', () => {
  test('has every one of them', () => {
    const folders = readdirSync(join(root, 'sample'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(Object.keys(samples)).toEqual(folders.map(({ name }) => name).sort());
  });

  test.each(Object.entries(samples))('says of %s what the documents say', (name, subject) => {
    const pages = [
      'README.md',
      ...readdirSync(join(root, 'docs'))
        .filter((page) => page.endsWith('.md'))
        .map((page) => `docs/${page}`),
    ];
    const row = new RegExp(`^\\| \\[${name}\\]\\([^)]*sample/${name}\\) \\| (.*?) \\|`, 'm');
    const said = pages.flatMap((page) => row.exec(readFileSync(join(root, page), 'utf8'))?.slice(1) ?? []);
    expect(said).toEqual([subject]);
  });
});

describe('npm start on a fresh clone, where nothing is installed', () => {
  let clone: string;

  beforeAll(() => {
    clone = mkdtempSync(join(tmpdir(), 'nestjs-messaging-clone-'));
    for (const path of ['package.json', 'package-lock.json', 'scripts', 'sample'])
      cpSync(join(root, path), join(clone, path), { recursive: true });
  });

  afterAll(() => rmSync(clone, { recursive: true, force: true }));

  test.each(['nope', '../bench', 'constructor', ''])('lists the samples for «%s», and does nothing else', (name) => {
    const before = readdirSync(clone);
    const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/start.mjs', name], {
      cwd: clone,
      encoding: 'utf8',
    });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain(`There is no sample «${name}»`);
    for (const [sample, subject] of Object.entries(samples))
      expect(stderr).toContain(`  ${sample.padEnd(20)} ${subject}\n`);
    expect(readdirSync(clone)).toEqual(before);
  });
});
