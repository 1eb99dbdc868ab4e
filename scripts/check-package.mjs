// Packs the package as it would be published and has publint and attw look at the tarball.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { buildPackage, run } from './tasks.mjs';

buildPackage({ onlyIfStale: true });
mkdirSync('.build', { recursive: true });
const { name, version } = JSON.parse(readFileSync('package.json', 'utf8'));
const pack = ['pack', '--ignore-scripts', '--silent', '--pack-destination', '.build'];
if (spawnSync('npm', pack, { stdio: 'inherit', shell: process.platform === 'win32' }).status !== 0) process.exit(1);

const tarball = `.build/${name}-${version}.tgz`;
run('publint', 'run', tarball, '--strict');
run('attw', tarball);
