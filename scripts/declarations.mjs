// The declarations that the entries of the package lead to, without what nobody outside of a class can use.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { declarationsOf, entries } from './entries.mjs';

const COMPILED = '.build/declarations';
const PACKED = 'dist/types';

/** Writes dist/types of what the compiler has made, and dist/*.d.mts for ES modules, whose types are the same. */
export function packDeclarations() {
  const files = new Set(entries().map((entry) => declarationsOf(entry)));
  for (const file of files) {
    const text = readFileSync(file.replace(PACKED, COMPILED), 'utf8');
    for (const [, path] of text.matchAll(/['"](\.\.?\/[^'"\n]*)\.js['"]/g))
      files.add(join(dirname(file), `${path}.d.ts`));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, withOptionalPeers(withoutPrivates(text)));
  }
  for (const entry of entries()) {
    const path = declarationsOf(entry)
      .replace('dist', '.')
      .replace(/\.d\.ts$/, '.js');
    writeFileSync(`dist/${entry.file}.d.mts`, `export * from '${path}';\n`);
  }
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

/** What is private says only that there is something: one member stands for all, without what is said of them. */
function withoutPrivates(text) {
  const file = ts.createSourceFile('module.d.ts', text, ts.ScriptTarget.ES2022, true);
  const edits = [];
  const visit = (node) => {
    if (!ts.isClassDeclaration(node)) return ts.forEachChild(node, visit);
    const own = node.members.filter((member) => !ts.isConstructorDeclaration(member) && isPrivate(member));
    own.forEach((member, at) =>
      edits.push([member.getFullStart(), member.getEnd(), at === 0 ? '\n    #private;' : '']),
    );
  };
  visit(file);
  let result = text;
  for (const [start, end, replacement] of edits.reverse())
    result = result.slice(0, start) + replacement + result.slice(end);
  return result;
}

function isPrivate({ modifiers }) {
  return modifiers?.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword) === true;
}
