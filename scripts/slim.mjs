// Of what the compiler makes: the CommonJS build, and nothing that nobody reads. That is comments and spaces of JavaScript
// (comments stay in the declarations, and no line is joined with another), modules without code, private members and
// declarations that no entry of the package leads to, and those that would be there twice.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, posix, sep } from 'node:path';
import ts from 'typescript';
import { toCommonJs } from './commonjs.mjs';
import { withoutPrivates } from './declarations.mjs';
import { tighten } from './tighten.mjs';

const ESM = join('dist', 'esm');
const CJS = join('dist', 'cjs');
/** Of a module that has types only, which nothing imports when it runs. */
const NO_CODE = 'export{};';

/**
 * CommonJS is the same code in the same lines, so that a stack says the same of both, and the two compress to little more
 * than one. Declarations are there once, since they are equal: a program whose files are of both kinds has one type of
 * each class then. They stand beside the CJS build: an ES module may take its types from there, and not every compiler
 * allows the opposite.
 */
export function slim() {
  const entries = entryDeclarations();
  const read = readDeclarations(entries);
  for (const file of filesIn(ESM)) {
    if (file.endsWith('.js')) {
      const text = tighten(withoutComments(readFileSync(file, 'utf8')));
      if (text.trim() === NO_CODE) {
        rmSync(file);
        continue;
      }
      writeFileSync(file, text);
      // `bin` of package.json is the ES module.
      if (!file.startsWith(join(ESM, 'cli', '/'))) write(twinOf(file), toCommonJs(text, file));
    }
    if (!file.endsWith('.d.ts')) continue;
    if (read.has(file)) write(twinOf(file), withOptionalPeers(withoutPrivates(readFileSync(file, 'utf8'))));
    rmSync(file);
  }
  for (const file of entries) writeFileSync(file, `export * from '${pathToTwin(file)}';\n`);
}

/** The file of the CJS build for one of the ES modules. */
function twinOf(file) {
  return file.replace(ESM, CJS);
}

function pathToTwin(file) {
  const [from, to] = [dirname(file), twinOf(file)].map((path) => path.split(sep).join('/'));
  return posix.relative(from, to).replace(/\.d\.ts$/, '.js');
}

function filesIn(folder) {
  return readdirSync(folder, { recursive: true }).map((name) => join(folder, name));
}

function write(file, text) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

function withoutComments(text) {
  const compilerOptions = { target: 'ES2022', module: 'ESNext', removeComments: true };
  return ts.transpileModule(text, { compilerOptions }).outputText;
}

/** Who does not have a peer does not use it, and is told nothing of its missing types, with `skipLibCheck: false` either. */
function withOptionalPeers(text) {
  return text.replace(optionalPeers(), '// @ts-ignore: an optional peer\n$&');
}

function optionalPeers() {
  const { peerDependenciesMeta } = JSON.parse(readFileSync('package.json', 'utf8'));
  const names = Object.keys(peerDependenciesMeta).filter((name) => peerDependenciesMeta[name].optional);
  return new RegExp(`^import .* from '(${names.join('|')})';$`, 'gm');
}

/** Those that package.json names. */
function entryDeclarations() {
  const { exports } = JSON.parse(readFileSync('package.json', 'utf8'));
  const entries = new Set();
  JSON.stringify(exports, (key, value) => {
    if (key === 'types' && join(value).startsWith(join(ESM, '/'))) entries.add(join(value));
    return value;
  });
  return entries;
}

/** The entries, and what they import. */
function readDeclarations(entries) {
  const read = new Set(entries);
  for (const file of read)
    for (const [, path] of readFileSync(file, 'utf8').matchAll(/['"](\.\.?\/[^'"\n]*)\.js['"]/g))
      read.add(join(dirname(file), `${path}.d.ts`));
  return read;
}
