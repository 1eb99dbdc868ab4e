// The subpaths of the package, made from the folders of lib: one with an `index.ts` is one, and so is each transport.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';

const FORMS = [
  ['module-sync', 'esm'],
  ['import', 'esm'],
  ['require', 'cjs'],
];

/** `[subpath, folder of its index.ts in lib]`; what transports are built of is `transport`. */
export function entries() {
  const folders = ['lib/', 'lib/transports/'].flatMap((parent) =>
    readdirSync(parent)
      .filter((name) => existsSync(`${parent}${name}/index.ts`))
      .map((name) => `${parent}${name}`),
  );
  const named = folders.map((folder) => [
    folder === 'lib/transports/kit' ? 'transport' : folder.split('/').at(-1),
    folder,
  ]);
  return [['.', 'lib'], ...named.sort(([one], [other]) => (one < other ? -1 : 1))];
}

/** What package.json says of them. */
export function entriesOfManifest() {
  const exports = {};
  const types = {};
  for (const [name, folder] of entries()) {
    const path = (form, ending) => `./dist/${form}${folder.slice('lib'.length)}/index${ending}`;
    exports[name === '.' ? name : `./${name}`] = Object.fromEntries(
      FORMS.map(([condition, form]) => [condition, { types: path(form, '.d.ts'), default: path(form, '.js') }]),
    );
    if (name !== '.') types[name] = [path('cjs', '.d.ts')];
  }
  return { exports: { ...exports, './package.json': './package.json' }, typesVersions: { '*': types } };
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
