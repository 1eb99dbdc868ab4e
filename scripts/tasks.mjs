// What the other scripts share.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from './bundle.mjs';
import { packDeclarations } from './declarations.mjs';
import { isStale } from './stale.mjs';

const shell = process.platform === 'win32';

process.chdir(fileURLToPath(new URL('../', import.meta.url)));

/** Runs a command of node_modules/.bin; ends this process with its exit code where it fails. */
export function run(command, ...args) {
  if (!succeeds(command, ...args)) process.exit(1);
}

export function succeeds(command, ...args) {
  const bin = join('node_modules', '.bin', command);
  return spawnSync(bin, args, { stdio: 'inherit', shell }).status === 0;
}

const shared = ['package.json', 'package-lock.json', 'tsconfig.json', 'config/tsconfig.build.json'];
const makers = ['bundle', 'compile', 'dashboard', 'declarations', 'entries', 'indentation'].map(
  (name) => `scripts/${name}.mjs`,
);

/** Builds dist: code and declarations side by side. */
export async function buildPackage({ onlyIfStale = false } = {}) {
  const done = 'dist/package.json'; // written last, so its time is the time of the build
  if (onlyIfStale && !isStale(done, ['lib', ...makers, ...shared])) return;
  console.log('Building dist …');
  rmSync('dist', { recursive: true, force: true });
  rmSync('.build/declarations', { recursive: true, force: true });
  const [declared] = await Promise.all([succeedsAside('tsc', '-p', 'config/tsconfig.build.json'), bundle()]);
  if (!declared) process.exit(1);
  await packDeclarations();
  writeFileSync(done, '{ "type": "commonjs" }\n');
}

function succeedsAside(command, ...args) {
  const child = spawn(join('node_modules', '.bin', command), args, { stdio: 'inherit', shell });
  return new Promise((resolve) => child.on('close', (code) => resolve(code === 0)));
}

/** Packs what is built, as it would be published; gives the tarball's path. */
export async function packPackage() {
  await buildPackage({ onlyIfStale: true });
  mkdirSync('.build', { recursive: true });
  const { name, version } = JSON.parse(readFileSync('package.json', 'utf8'));
  const pack = ['pack', '--ignore-scripts', '--silent', '--pack-destination', '.build'];
  const stdio = ['ignore', 'ignore', 'inherit'];
  if (spawnSync('npm', pack, { stdio, shell }).status !== 0) process.exit(1);
  return join('.build', `${name}-${version}.tgz`);
}
