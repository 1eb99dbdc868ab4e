// Translates the package, the brokers' starter and the fault suite into one folder, from where plain Node runs them.
// It is a copy: an edit or a build elsewhere changes nothing in the middle of a run.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileFolder } from '../../scripts/compile.mjs';
import { entries } from '../../scripts/entries.mjs';

const project = fileURLToPath(new URL('../../', import.meta.url));
const sources = ['lib', 'test/brokers', 'test/fault'];

/** Gives the folder, inside .build, where node_modules is found. `remove` takes it away again. */
export function compile(name) {
  const target = join(project, '.build', 'fault', name);
  writePackageFile(target);
  for (const source of sources) compileFolder(join(project, source), join(target, source), 'commonjs');
  return { target, remove: () => rmSync(target, { recursive: true, force: true }) };
}

/** Makes the folder of a copy. First: Node looks for the file once, when it loads the compiler from there. */
export function writePackageFile(target) {
  mkdirSync(target, { recursive: true });
  writeFileSync(join(target, 'package.json'), JSON.stringify(packageFile()));
}

/** The package's own name leads to this copy. */
function packageFile() {
  const { name } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8'));
  const copied = entries().map(({ path, source }) => [path, `./${source.replace(/ts$/, 'js')}`]);
  return { name, type: 'commonjs', exports: Object.fromEntries(copied) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(compile(process.argv[2]).target);
