// The pages of the dashboard: what esbuild makes of lib/dashboard/ui, as a module that stands in for ui-assets.ts.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { isStale } from './stale.mjs';

const SOURCES = 'lib/dashboard/ui';
const BUILT = '.build/dashboard/ui-assets.json';
const inputs = [SOURCES, 'lib/errors/printable.ts', 'scripts/dashboard.mjs', 'package-lock.json'];
const types = { js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8' };

/** Whether a file of lib is the one that this stands in for. */
export const isUiAssets = (file) => /[\\/]dashboard[\\/]ui-assets\.[jt]s$/.test(file);

/** The files of the pages by name, made anew where their sources have changed. `from`: whose node_modules has esbuild. */
export function uiAssets(from = '.') {
  if (isStale(BUILT, inputs)) build(from);
  return readFileSync(BUILT, 'utf8');
}

/** The module, in the form that the caller compiles to. */
export function uiAssetsModule(form, from) {
  const assets = uiAssets(from);
  return form === 'commonjs' ? `exports.uiAssets = ${assets};\n` : `export const uiAssets = ${assets};\n`;
}

function build(from) {
  const folder = resolve(from, 'node_modules');
  const { buildSync } = createRequire(resolve(from, 'built.js'))('esbuild');
  const { outputFiles } = buildSync({
    entryPoints: ['app.tsx', 'login.ts', 'app.css'].map((name) => `${SOURCES}/${name}`),
    bundle: true,
    minify: true,
    write: false,
    outdir: SOURCES,
    format: 'esm',
    target: ['es2022', 'chrome123', 'firefox120', 'safari17.5'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    nodePaths: [folder],
    legalComments: 'none',
    charset: 'utf8',
    tsconfigRaw: {},
  });
  const named = outputFiles.map(({ path, text }) => {
    const name = path.split(/[\\/]/).at(-1);
    return [name, { type: types[name.split('.').at(-1)], text }];
  });
  mkdirSync('.build/dashboard', { recursive: true });
  writeFileSync(BUILT, JSON.stringify(Object.fromEntries(named)));
}
