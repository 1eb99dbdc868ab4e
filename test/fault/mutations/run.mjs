// Shows that tests look: puts each fault of list.mjs into a copy of the package, and runs the test that must fail.
// `node test/fault/mutations/run.mjs [part of a name …]`
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { mutations } from './list.mjs';

const project = fileURLToPath(new URL('../../../', import.meta.url));
const copy = join(project, '.build', `mutations-${process.pid}`);
const LONGEST_MS = 180_000;

function copied() {
  mkdirSync(copy, { recursive: true });
  for (const name of ['lib', 'test', 'config', 'package.json', 'tsconfig.json'])
    cpSync(join(project, name), join(copy, name), { recursive: true });
  symlinkSync(join(project, 'node_modules'), join(copy, 'node_modules'));
}

/** Changes the copy, and gives what changes it back. */
function mutate(edits) {
  const before = new Map();
  for (const [file, text, replacement] of edits) {
    const path = join(copy, file);
    const source = readFileSync(path, 'utf8');
    if (!before.has(path)) before.set(path, source);
    if (source.split(text).length !== 2) throw new Error(`${file} does not have this once: ${text}`);
    writeFileSync(
      path,
      source.replace(text, () => replacement),
    );
  }
  return () => before.forEach((source, path) => writeFileSync(path, source));
}

/** True when it fails, or does not end; a test that was not found is an error. */
function fails({ file, test, cell }) {
  const command = cell
    ? ['test/fault/run.mjs', cell, '--rabbitmq', '4.0.5']
    : ['node_modules/jest/bin/jest.js', '--config', 'config/jest.config.mjs', file, '-t', test, '--forceExit'];
  const { status, error, stdout, stderr } = spawnSync(process.execPath, command, {
    cwd: copy,
    encoding: 'utf8',
    timeout: LONGEST_MS,
    killSignal: 'SIGKILL',
  });
  if (error?.code === 'ETIMEDOUT') return true;
  const ran = cell ? /[✓✗] /.test(stdout) : /Tests: .*\d+ (passed|failed)/.test(stderr);
  if (!ran) throw new Error(`No test ran: ${stdout}${stderr}`);
  return status !== 0;
}

const parts = process.argv.slice(2);
const chosen = mutations.filter(({ name }) => parts.length === 0 || parts.some((part) => name.includes(part)));
let missed = 0;
try {
  copied();
  for (const { name, edits, caughtBy } of chosen) {
    const restore = mutate(edits);
    const caught = fails(caughtBy);
    restore();
    if (!caught) missed++;
    console.log(
      `${caught ? '✓' : '✗ not caught:'} ${name} · ${caughtBy.cell ?? `${caughtBy.file}: «${caughtBy.test}»`}`,
    );
  }
} finally {
  rmSync(copy, { recursive: true, force: true });
}
console.log(`${chosen.length - missed} of ${chosen.length} faults were caught`);
if (missed > 0) process.exitCode = 1;
