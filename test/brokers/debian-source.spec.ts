import { expect, test } from '@jest/globals';
import { lineFor, stanzaFor } from './debian-source.js';

test('takes the main archive of a .sources file, with its keys', () => {
  const text = `# generated
Types: deb
URIs: https://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb deb-src
# mirror
URIs: https://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`;
  expect(stanzaFor(text, 'trixie')).toBe(`Types: deb
URIs: https://mirror.example/debian
Suites: trixie
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`);
});

test('takes the main archive of a .list file, with its options', () => {
  const text = `# deb http://old.example/debian bookworm main
deb https://download.example/linux/debian bookworm stable
deb http://mirror.example/debian-security bookworm-security main
deb [arch=amd64] http://mirror.example/debian/ bookworm main contrib
`;
  expect(lineFor(text, 'trixie')).toBe('deb [arch=amd64] http://mirror.example/debian/ trixie main\n');
});

test('finds nothing where there is no Debian archive', () => {
  const text = 'deb https://vendor.example/apt stable main\n';
  expect([lineFor(text, 'trixie'), stanzaFor('Types: deb\nURIs: https://vendor.example/apt\n', 'trixie')]).toEqual([
    undefined,
    undefined,
  ]);
});
