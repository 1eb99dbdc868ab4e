import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface DebianSource {
  format: 'deb822' | 'line';
  text: string;
}

/** The machine's own Debian mirror, with its options and keys, for another suite. Throws where it has none. */
export async function debianSource(suite: string): Promise<DebianSource> {
  const folder = '/etc/apt/sources.list.d';
  const names = (await readdir(folder).catch(() => [])).map((name) => join(folder, name));
  for (const file of ['/etc/apt/sources.list', ...names]) {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (file.endsWith('.sources')) {
      const stanza = stanzaFor(text, suite);
      if (stanza) return { format: 'deb822', text: stanza };
    } else if (file.endsWith('.list')) {
      const line = lineFor(text, suite);
      if (line) return { format: 'line', text: line };
    }
  }
  throw new Error('The apt sources of this machine name no Debian archive to install brokers from');
}

/** Exported for its tests, as is lineFor. */
export function stanzaFor(text: string, suite: string): string | undefined {
  const withoutComments = text.replace(/^#.*\n?/gm, '');
  for (const stanza of withoutComments.split(/\n\s*\n/)) {
    const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'im').exec(stanza)?.[1].trim() ?? '';
    if (/^no$/i.test(field('Enabled')) || !field('Types').split(/\s+/).includes('deb')) continue;
    if (!isMainArchive(field('URIs'), field('Suites'), field('Components'))) continue;
    const text = stanza
      .replace(/^Types:.*$/im, 'Types: deb')
      .replace(/^Suites:.*$/im, `Suites: ${suite}`)
      .replace(/^Components:.*$/im, 'Components: main');
    return `${text.trim()}\n`;
  }
  return undefined;
}

export function lineFor(text: string, suite: string): string | undefined {
  for (const line of text.split('\n')) {
    const match = /^\s*deb\s+(\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)$/.exec(line);
    if (!match) continue;
    const [, options = '', uri, ownSuite, components] = match;
    if (isMainArchive(uri, ownSuite, components)) return `deb ${options}${uri} ${suite} main\n`;
  }
  return undefined;
}

/** Not the security archive, nor a vendor's. */
function isMainArchive(uris: string, suites: string, components: string): boolean {
  const words = (text: string) => text.split(/\s+/);
  return (
    !/security/.test(uris + suites) &&
    words(uris).some((uri) => /\/debian\/?$/.test(uri)) &&
    words(components).includes('main')
  );
}
