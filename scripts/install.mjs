// What is in node_modules, and how it gets there. Node built-ins only: nothing is installed yet.
import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { told } from './told.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));

const flags = ['--no-audit', '--no-fund', '--loglevel=error'];

/** Installs what package-lock.json asks for, where node_modules is something else. */
export async function installAll() {
  const reason = mismatch();
  if (reason === undefined) return;
  await told(`Installing dependencies (${reason})`, () => npm(root, 'ci', '--include=dev', ...flags));
}

/**
 * Installs these development dependencies alone, in the versions of package-lock.json, into a folder below this one;
 * `description` is the rest of its package.json. Nothing to do where all dependencies are installed.
 */
export async function installSome(folder, names, description) {
  const dependencies = pick(read(root, 'package.json').devDependencies, names);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...description, dependencies }));
  if (mismatch() === undefined || hasSome(folder, names)) return;
  copyFileSync(join(root, 'package-lock.json'), join(folder, 'package-lock.json'));
  await told('Installing what the samples need', () => npm(folder, 'install', '--ignore-scripts', ...flags));
}

/** Why an install is needed, or undefined. */
function mismatch() {
  const wanted = read(root, 'package-lock.json').packages;
  const found = installed(root);
  if (found === undefined) return 'node_modules is missing or incomplete';
  for (const [path, { version, optional }] of Object.entries(wanted)) {
    if (path === '') continue;
    if (found[path] ? found[path].version !== version : !optional) return `${path} is not ${version}`;
  }
  const extra = Object.keys(found).find((path) => !wanted[path]);
  return extra && `${extra} is not in package-lock.json`;
}

function hasSome(folder, names) {
  const wanted = read(root, 'package-lock.json').packages;
  const found = installed(folder);
  if (found === undefined || names.some((name) => !found[`node_modules/${name}`])) return false;
  return Object.entries(found).every(([path, { version }]) => wanted[path]?.version === version);
}

/** npm writes this file last, so an interrupted install has none. */
function installed(folder) {
  try {
    return read(folder, 'node_modules/.package-lock.json').packages;
  } catch {
    return undefined;
  }
}

function npm(cwd, ...args) {
  const child = spawn('npm', args, { cwd, stdio: 'inherit', shell: process.platform === 'win32' });
  return new Promise((resolve) => child.on('exit', (status) => (status === 0 ? resolve() : process.exit(status ?? 1))));
}

function read(folder, name) {
  return JSON.parse(readFileSync(join(folder, name), 'utf8'));
}

function pick(object, names) {
  return Object.fromEntries(names.map((name) => [name, object[name]]));
}
