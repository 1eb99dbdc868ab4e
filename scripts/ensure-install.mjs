// Runs `npm ci` only where node_modules is not what package-lock.json asks for. Node built-ins only: nothing is installed yet.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const root = new URL('../', import.meta.url);

/** Why an install is needed, or undefined. npm writes node_modules/.package-lock.json last, so an interrupted install has none. */
function mismatch() {
  const wanted = JSON.parse(readFileSync(new URL('package-lock.json', root), 'utf8')).packages;
  let found;
  try {
    found = JSON.parse(readFileSync(new URL('node_modules/.package-lock.json', root), 'utf8')).packages;
  } catch {
    return 'node_modules is missing or incomplete';
  }
  for (const [path, { version, optional }] of Object.entries(wanted)) {
    if (path === '') continue;
    if (found[path] ? found[path].version !== version : !optional) return `${path} is not ${version}`;
  }
  const extra = Object.keys(found).find((path) => !wanted[path]);
  return extra && `${extra} is not in package-lock.json`;
}

const reason = mismatch();
if (reason) {
  const started = Date.now();
  console.log(`Installing dependencies (${reason}); this takes about half a minute …`);
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status } = spawnSync('npm', args, { cwd: root, stdio: 'inherit', shell: process.platform === 'win32' });
  if (status !== 0) process.exit(status ?? 1);
  console.log(`Dependencies installed in ${((Date.now() - started) / 1000).toFixed(0)} s.`);
}
