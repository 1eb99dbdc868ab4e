// Leaves out of the build what nobody reads: comments and indentation of JavaScript (comments stay in the declarations, and
// no line is joined with another), and declarations that no entry of the package leads to.
import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';

const ESM = join('dist', 'esm');
const CJS = join('dist', 'cjs');

/** The CJS build has neither comments nor declarations: those are the same as of the ES modules. */
export function slim() {
  const read = readDeclarations();
  for (const file of filesIn(ESM)) {
    if (file.endsWith('.js')) rewrite(file, withoutComments);
    else if (!file.endsWith('.d.ts')) continue;
    else if (read.has(file)) rewrite(file, withOptionalPeers);
    else rmSync(file);
  }
  for (const file of read) copyFileSync(file, file.replace(ESM, CJS));
  for (const file of [...filesIn(ESM), ...filesIn(CJS)]) if (file.endsWith('.js')) rewrite(file, withoutIndentation);
}

function filesIn(folder) {
  return readdirSync(folder, { recursive: true }).map((name) => join(folder, name));
}

function rewrite(file, change) {
  writeFileSync(file, change(readFileSync(file, 'utf8')));
}

function withoutComments(text) {
  const compilerOptions = { target: 'ES2022', module: 'ESNext', removeComments: true };
  return ts.transpileModule(text, { compilerOptions }).outputText;
}

function withoutIndentation(text) {
  const lines = text.split('\n');
  // Inside of a text of several lines indentation means something.
  const hasLongText = lines.some((line) => line.split('`').length % 2 === 0);
  return hasLongText ? text : lines.map((line) => line.trimStart()).join('\n');
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

/** Those that package.json names, and what they import. */
function readDeclarations() {
  const { exports } = JSON.parse(readFileSync('package.json', 'utf8'));
  const read = new Set();
  JSON.stringify(exports, (key, value) => {
    if (key === 'types' && join(value).startsWith(join(ESM, '/'))) read.add(join(value));
    return value;
  });
  for (const file of read)
    for (const [, path] of readFileSync(file, 'utf8').matchAll(/['"](\.\.?\/[^'"\n]*)\.js['"]/g))
      read.add(join(dirname(file), `${path}.d.ts`));
  return read;
}
