import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { Markdown } from './markdown.js';

const page = Markdown.read('docs/exports.md');
const MOST_NAMES = 150;

/** Every name, types included. */
function exportsOf(file: string): string[] {
  const blocks = [...readFileSync(file, 'utf8').matchAll(/export \{([^}]*)\}/g)];
  return blocks.flatMap(([, names]) => names.split(',').flatMap((name) => name.trim().replace(/^type /, '') || []));
}

test('package.json has the entries that the folders of lib make: npm run format writes them', async () => {
  const script = '../../scripts/entries.mjs';
  const { entriesOfManifest } = (await import(script)) as { entriesOfManifest(): unknown };
  const { exports, typesVersions } = JSON.parse(readFileSync('package.json', 'utf8')) as Record<string, unknown>;
  expect({ exports, typesVersions }).toEqual(entriesOfManifest());
});

describe('docs/exports.md', () => {
  const rows = page.section('Names').table();
  const documented = rows.flatMap((row) => [...row.names.matchAll(/`([^`]+)`/g)].map(([, name]) => name));

  test('has every name of the root once, and no other', () => {
    expect(documented.sort()).toEqual(exportsOf('lib/index.ts').sort());
    expect(new Set(documented).size).toBe(documented.length);
  });

  test(`the root has at most ${MOST_NAMES} names`, () => expect(documented.length).toBeLessThanOrEqual(MOST_NAMES));

  test('each name belongs to a page that is there', () => {
    for (const { page: link } of rows) {
      const file = /\]\(([\w-]+\.md)/.exec(link)?.[1];
      expect(() => readFileSync(`docs/${file}`)).not.toThrow();
    }
  });

  test('the subpaths are those of the package', () => {
    const { exports } = JSON.parse(readFileSync('package.json', 'utf8')) as { exports: Record<string, unknown> };
    const named = [...page.section('Subpaths').text.matchAll(/`nestjs-messaging\/([\w/-]+)`/g)].map(([, name]) => name);
    const own = Object.keys(exports).flatMap((path) => /^\.\/([\w/-]+)$/.exec(path)?.[1] ?? []);
    expect(named.sort()).toEqual(own.sort());
  });

  test('what a store or transport is written with is in its subpath', () => {
    const { length } = exportsOf('lib/stores/index.ts');
    expect(length).toBeGreaterThan(20);
    const transport = exportsOf('lib/transports/kit/index.ts');
    for (const name of ['Transport', 'TransportFactory', 'BrokerTransport', 'Subscriptions'])
      expect(transport).toContain(name);
  });
});
