// What the other scripts share.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { slim } from './slim.mjs';
import { isStale } from './stale.mjs';

process.chdir(fileURLToPath(new URL('../', import.meta.url)));

/** Runs a command of node_modules/.bin; ends this process with its exit code where it fails. */
export function run(command, ...args) {
  if (!succeeds(command, ...args)) process.exit(1);
}

export function succeeds(command, ...args) {
  const bin = join('node_modules', '.bin', command);
  return spawnSync(bin, args, { stdio: 'inherit', shell: process.platform === 'win32' }).status === 0;
}

const shared = ['package.json', 'package-lock.json', 'tsconfig.json', 'nest-cli.json'];

const slimming = ['slim', 'commonjs', 'tighten', 'declarations'].map((name) => `scripts/${name}.mjs`);

/** Builds dist/esm and dist/cjs. */
export function buildPackage({ onlyIfStale = false } = {}) {
  const done = 'dist/cjs/package.json'; // written last, so its time is the time of the build
  const inputs = ['lib', ...slimming, 'config/tsconfig.esm.json', ...shared];
  if (onlyIfStale && !isStale(done, inputs)) return;
  console.log('Building dist/esm and dist/cjs …');
  rmSync('dist', { recursive: true, force: true });
  run('nest', 'build', 'esm');
  slim();
  writeFileSync(done, '{ "type": "commonjs" }\n');
}

/** Packs what is built, as it would be published; gives the tarball's path. */
export function packPackage() {
  buildPackage({ onlyIfStale: true });
  mkdirSync('.build', { recursive: true });
  const { name, version } = JSON.parse(readFileSync('package.json', 'utf8'));
  const pack = ['pack', '--ignore-scripts', '--silent', '--pack-destination', '.build'];
  const stdio = ['ignore', 'ignore', 'inherit'];
  if (spawnSync('npm', pack, { stdio, shell: process.platform === 'win32' }).status !== 0) process.exit(1);
  return join('.build', `${name}-${version}.tgz`);
}
