// The code of the package: CommonJS, once, with a small ES module in front of each entry. docs/architecture.md says why.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { rollup } from 'rollup';
import { compileFile } from './compile.mjs';
import { isUiAssets, uiAssetsModule } from './dashboard.mjs';
import { CLI, entries } from './entries.mjs';
import { withoutIndentation } from './indentation.mjs';

const NEST = '@nestjs/';

/** Writes dist/*.js and dist/*.mjs. */
export async function bundle() {
  mkdirSync('dist');
  const input = Object.fromEntries([...entries().map(({ file, source }) => [file, source]), [CLI.file, CLI.source]]);
  const bundled = await rollup({
    input,
    external: isPackage,
    plugins: [typescript, withoutIndentation],
    treeshake: false,
    onLog,
  });
  const { output } = await bundled.write({
    dir: 'dist',
    format: 'cjs',
    exports: 'named',
    chunkFileNames: 'chunk-[name].js',
    // What a module exports is there when it has run: config/dependency-cruiser.mjs allows no cycles.
    externalLiveBindings: false,
    // Jest, for one, knows no import() in CommonJS.
    dynamicImportInCjs: false,
    interop: (id) => (id.startsWith('node:') ? 'default' : 'esModule'),
    generatedCode: 'es2015',
    paths: (id) => (id.startsWith(NEST) ? writeNest(id) : id),
  });
  const chunks = new Map(output.map((chunk) => [chunk.fileName, chunk]));
  for (const { file } of entries()) writeModules(chunks.get(`${file}.js`), chunks);
  writeFileSync('dist/given.js', `'use strict';\n\nmodule.exports = new Map();\n`);
}

/**
 * The entry as an ES module. It gives the code the Nest that it has itself: `require` of an ES module fails while that is
 * still being imported. And it requires the code, since Jest runs what is imported of CommonJS before all else, and
 * cannot require Nest there; bundlers are to see what there is.
 */
function writeModules({ fileName, name, exports }, chunks) {
  const nest = nestOf(chunks.get(fileName), chunks).map((file) => `import '${file.replace(/\.js$/, '.mjs')}';\n`);
  const names = `{ ${exports.join(', ')} }`;
  const required = `import { createRequire } from 'node:module';\n\nexport const ${names} = createRequire(import.meta.url)('./${fileName}');\n`;
  writeFileSync(`dist/${name}.mjs`, nest.join('') + required);
  writeFileSync(`dist/${name}.bundler.mjs`, `${nest.join('')}export ${names} from './${fileName}';\n`);
}

function writeNest(id) {
  const name = id.slice(1).replace(/\.js$/, '').replaceAll('/', '-');
  const taken = `module.exports = require('./given.js').get('${id}') ?? require('${id}');`;
  writeFileSync(`dist/${name}.js`, `'use strict';\n\n${taken}\n`);
  const given = `import given from './given.js';\n\ngiven.set('${id}', nest);`;
  writeFileSync(`dist/${name}.mjs`, `import * as nest from '${id}';\n${given}\n`);
  return `./${name}.js`;
}

/** The files for modules of Nest that are required by a chunk, or by those that it requires. */
function nestOf({ fileName, imports }, chunks, seen = new Set()) {
  if (seen.has(fileName)) return [];
  seen.add(fileName);
  const used = imports.flatMap((name) =>
    name.startsWith('./nestjs-') ? name : chunks.has(name) ? nestOf(chunks.get(name), chunks, seen) : [],
  );
  return [...new Set(used)].sort();
}

const isPackage = (id) => !id.startsWith('.') && !id.startsWith('/') && !id.startsWith('lib');

const typescript = {
  name: 'typescript',
  resolveId(id, importer) {
    if (importer === undefined) return resolve(id);
    const file = join(dirname(importer), id.replace(/\.js$/, '.ts'));
    return existsSync(file) ? file : null;
  },
  load: (file) => (isUiAssets(file) ? uiAssetsModule('es6') : compileFile(file, 'es6')),
  resolveImportMeta: (property) => (property === 'url' ? `require('node:url').pathToFileURL(__filename).href` : null),
};

function onLog(level, log, handle) {
  // Of the helpers of decorators, which look there for those of others.
  if (log.code !== 'THIS_IS_UNDEFINED') handle('error', log);
}
