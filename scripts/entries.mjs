// The subpaths of the package, made from the folders of lib: one with an `index.ts` is one, and so is each transport.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));

/** The command line, which is no subpath. */
export const CLI = { file: 'cli', source: 'lib/cli/bin.ts' };

/**
 * Each subpath, its name in dist, and its source; that of what transports are built of is `transport`, and what stands in
 * for another package is in `compat/`.
 */
export function entries() {
  const folders = ['lib/', 'lib/transports/', 'lib/compat/'].flatMap((parent) =>
    readdirSync(root + parent)
      .map((name) => `${parent}${name}`)
      .filter((folder) => existsSync(`${root}${folder}/index.ts`)),
  );
  const named = folders.map((folder) => {
    const name = folder === 'lib/transports/kit' ? 'transport' : folder.replace(/^lib\/(transports\/)?/, '');
    return { path: `./${name}`, file: name.replace('/', '-'), source: `${folder}/index.ts` };
  });
  const byName = named.sort((one, other) => (one.file < other.file ? -1 : 1));
  return [{ path: '.', file: 'index', source: 'lib/index.ts' }, ...byName];
}

/** What package.json says of them. */
export function entriesOfManifest() {
  const exports = {};
  const typesVersions = {};
  for (const { path, file } of entries()) {
    const types = `./dist/${file}.d.mts`;
    exports[path] = {
      module: { types, default: `./dist/${file}.bundler.mjs` },
      import: { types, default: `./dist/${file}.mjs` },
      require: { types: `./dist/${file}.d.ts`, default: `./dist/${file}.js` },
    };
    if (path !== '.') typesVersions[path.slice(2)] = [`./dist/${file}.d.ts`];
  }
  return { exports: { ...exports, './package.json': './package.json' }, typesVersions: { '*': typesVersions } };
}

/** What package.json has otherwise, in words; with `fix` it is written there. */
export function wrongEntries({ fix = false } = {}) {
  const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
  const wanted = entriesOfManifest();
  const names = Object.keys({ ...manifest.exports, ...wanted.exports }).filter(
    (name) => JSON.stringify(manifest.exports[name]) !== JSON.stringify(wanted.exports[name]),
  );
  const isTyped = JSON.stringify(manifest.typesVersions) === JSON.stringify(wanted.typesVersions);
  if (!fix || (names.length === 0 && isTyped)) {
    const wrong = names.map((name) => `"exports", "${name}"`);
    return [...wrong, ...(isTyped ? [] : ['"typesVersions"'])].map((where) => `package.json, ${where}: npm run format`);
  }
  writeFileSync('package.json', `${JSON.stringify({ ...manifest, ...wanted }, null, 2)}\n`);
  return [];
}
