// Shows that tests look: puts each fault of list.mjs into a copy of the package, and runs the test that must fail.
// `node test/fault/mutations/run.mjs [part of a name …]`; with --check nothing is run, but every entry must have its place.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { mutations } from './list.mjs';
import { plant, staleEntries } from './plant.mjs';

const project = fileURLToPath(new URL('../../../', import.meta.url));
const copy = join(project, '.build', `mutations-${process.pid}`);
const results = join(copy, 'results.json');
const VERSION = '4.0.5';
/** Longer than any test or cell waits for something; what takes more has not failed by itself. */
const LONGEST_MS = 360_000;

function copied() {
  mkdirSync(copy, { recursive: true });
  for (const name of ['lib', 'test', 'config', 'scripts', 'package.json', 'tsconfig.json'])
    cpSync(join(project, name), join(copy, name), { recursive: true });
  symlinkSync(join(project, 'node_modules'), join(copy, 'node_modules'));
}

function run(args, env = {}) {
  const { error, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: copy,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    timeout: LONGEST_MS,
    killSignal: 'SIGKILL',
    maxBuffer: 2 ** 28,
  });
  if (error && error.code !== 'ETIMEDOUT') throw error;
  return { timedOut: error !== undefined, output: `${stdout}${stderr}` };
}

/** How the test ended: `caught` when it failed itself, `passed`, or `timed out` when it had no end. */
function verdictOf(caughtBy) {
  return caughtBy.cell === undefined ? verdictOfTest(caughtBy) : verdictOfCell(caughtBy);
}

function verdictOfCell({ cell, consumer = 'plain' }) {
  const args = ['test/fault/run.mjs', cell, '--consumer', consumer, '--rabbitmq', VERSION];
  const { timedOut, output } = run(args);
  if (timedOut) return { verdict: 'timed out' };
  const lines = output.split('\n');
  const failed = lines.findIndex((line) => line.startsWith('✗ '));
  if (failed >= 0) return { verdict: 'caught', why: lines[failed + 1].trim() };
  if (lines.some((line) => line.startsWith('✓ '))) return { verdict: 'passed' };
  throw new Error(`No cell ran: ${output}`);
}

function verdictOfTest({ file, test }) {
  rmSync(results, { force: true });
  const onRabbit = readFileSync(join(copy, file), 'utf8').includes('describeRabbit');
  const { timedOut, output } = run(
    [
      ...['node_modules/jest/bin/jest.js', '--config', 'config/jest.config.mjs', file, '-t', test],
      ...['--forceExit', '--json', '--outputFile', results],
    ],
    // One version will do, as for a cell.
    { TEST_BROKERS: onRabbit ? 'rabbitmq' : 'none', TEST_RABBITMQ_VERSIONS: VERSION },
  );
  if (timedOut) return { verdict: 'timed out' };
  const suites = existsSync(results) ? JSON.parse(readFileSync(results, 'utf8')).testResults : [];
  const named = suites.flatMap(({ assertionResults }) => assertionResults).filter(({ title }) => title.includes(test));
  const failed = named.find(({ status }) => status === 'failed');
  if (failed) return { verdict: 'caught', why: firstLineOf(failed.failureMessages) };
  if (named.some(({ status }) => status === 'passed')) return { verdict: 'passed' };
  throw new Error(`No test ran: ${output}`);
}

function firstLineOf([message = '']) {
  // eslint-disable-next-line no-control-regex
  return message.replaceAll(/\u001b\[\d+m/g, '').split('\n')[0];
}

function refuseStale() {
  const stale = staleEntries(mutations, project);
  for (const problem of stale) console.error(`✗ ${problem}`);
  if (stale.length > 0)
    console.error(`${stale.length} planted faults have no place: correct test/fault/mutations/list.mjs`);
  return stale.length > 0;
}

function runChosen(parts) {
  const chosen = mutations.filter(({ name }) => parts.length === 0 || parts.some((part) => name.includes(part)));
  if (chosen.length === 0) throw new Error(`No planted fault is called «${parts.join(' ')}»`);
  const counts = { caught: 0, passed: 0, 'timed out': 0 };
  try {
    copied();
    for (const { name, edits, caughtBy } of chosen) {
      const restore = plant(edits, copy);
      const started = Date.now();
      const { verdict, why } = verdictOf(caughtBy);
      restore();
      counts[verdict]++;
      const mark = { caught: '✓', passed: '✗ not caught:', 'timed out': '✗ not caught, timed out:' }[verdict];
      const { cell, consumer, file, test } = caughtBy;
      const by = cell === undefined ? `${file}: «${test}»` : [cell, consumer].filter(Boolean).join(' · ');
      console.log(`${mark} ${name} · ${by} · ${((Date.now() - started) / 1_000).toFixed(0)} s`);
      if (why) console.log(`    ${why.slice(0, 200)}`);
    }
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
  console.log(`${counts.caught} of ${chosen.length} faults were caught, ${counts['timed out']} timed out`);
  return counts.caught < chosen.length;
}

const args = process.argv.slice(2);
if (refuseStale() || (!args.includes('--check') && runChosen(args))) process.exitCode = 1;
