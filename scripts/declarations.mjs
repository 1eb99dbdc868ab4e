// The declarations of the package, joined as its code is, and without what nobody outside of a class can use.
import { readFileSync, writeFileSync } from 'node:fs';
import { rollup } from 'rollup';
import { dts } from 'rollup-plugin-dts';
import ts from 'typescript';
import { entries } from './entries.mjs';

/** Writes dist/*.d.ts of what the compiler has made, and dist/*.d.mts for ES modules, whose types are the same. */
export async function packDeclarations() {
  const compiled = ({ source }) => source.replace(/^lib/, '.build/declarations').replace(/\.ts$/, '.d.ts');
  const input = Object.fromEntries(entries().map((entry) => [entry.file, compiled(entry)]));
  const bundled = await rollup({ input, external: /^[^./]/, plugins: [dts()], onLog });
  await bundled.write({
    dir: 'dist',
    format: 'es',
    minifyInternalExports: false,
    entryFileNames: '[name].d.ts',
    chunkFileNames: ({ name }) => `types-${name.replace(/\.d$/, '')}.d.ts`,
    plugins: [{ name: 'public', renderChunk: (text) => withOptionalPeers(withoutPrivates(narrow(text))) }],
  });
  for (const { file } of entries()) writeFileSync(`dist/${file}.d.mts`, `export * from './${file}.js';\n`);
}

function onLog(level, log, handle) {
  // A type that is used by what an entry exports, and is not exported itself.
  if (!log.message.includes('still references private shared type exports')) handle('error', log);
}

/** Indentation is a space a level: it is packed, too. */
function narrow(text) {
  return text.replace(/^ +/gm, ({ length }) => ' '.repeat(Math.floor(length / 4) + (length % 4)));
}

/** Who does not have a peer does not use it, and is told nothing of its missing types, with `skipLibCheck: false` either. */
function withOptionalPeers(text) {
  const names = optionalPeers();
  const used = text.replace(new RegExp(`^import '(${names})';\\n`, 'gm'), '');
  return used.replace(new RegExp(`^import .* from '(${names})';$`, 'gm'), '// @ts-ignore: an optional peer\n$&');
}

function optionalPeers() {
  const { peerDependenciesMeta } = JSON.parse(readFileSync('package.json', 'utf8'));
  return Object.keys(peerDependenciesMeta)
    .filter((name) => peerDependenciesMeta[name].optional)
    .join('|');
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
