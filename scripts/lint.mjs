// Types, lint, import direction, format and size, side by side; with --fix what can be corrected is.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { wrongEntries } from './entries.mjs';
import { overBudget } from './line-budgets.mjs';
import './tasks.mjs';

const fix = process.argv.includes('--fix');
const folders = ['lib', 'test', 'sample', 'bench', 'scripts', 'config'];
const noFiles = '--no-error-on-unmatched-pattern';

function check(command, ...args) {
  return new Promise((resolve) => {
    const started = Date.now();
    const child = spawn(join('node_modules', '.bin', command), args, { shell: process.platform === 'win32' });
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.on('close', (code) => {
      console.log(`${code === 0 ? '✓' : '✗'} ${command} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
      if (code !== 0) console.log(output.trim());
      resolve(code === 0);
    });
  });
}

const eslint = () =>
  check(
    'eslint',
    '--config',
    'config/eslint.config.mjs',
    '--max-warnings=0',
    noFiles,
    ...(fix ? ['--fix'] : []),
    ...folders,
  );
const prettier = () =>
  check('prettier', fix ? '--write' : '--check', noFiles, `{${folders}}/**/*.{ts,tsx,css,mjs,json}`, '*.json');
const rest = [
  check('tsc', '--noEmit', '-p', 'tsconfig.json'),
  check('tsc', '-p', 'lib/dashboard/ui'),
  check('depcruise', '--output-type', 'err-long', '--config', 'config/dependency-cruiser.mjs', 'lib'),
];

const problems = Object.entries({ 'line budgets': overBudget(), 'entries of the package': wrongEntries({ fix }) });
for (const [subject, found] of problems) {
  console.log(`${found.length === 0 ? '✓' : '✗'} ${subject}`);
  for (const problem of found) console.log(problem);
}
const isWrong = problems.some(([, found]) => found.length > 0);

// One after the other where both write.
const results = fix ? [await eslint(), await prettier()] : [eslint(), prettier()];
if ((await Promise.all([...results, ...rest])).includes(false) || isWrong) process.exitCode = 1;
