import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const directoryOf = (peer) => new URL(`peers/${peer}/`, import.meta.url);

/** Installs a peer where it is not there as its lockfile says. Gives the reason when that cannot be. */
export function installPeer(peer) {
  try {
    if (isInstalled(peer)) return undefined;
    console.error(`Installing the peer ${peer} …`);
    const options = ['--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
    execFileSync('npm', ['ci', ...options], {
      cwd: fileURLToPath(directoryOf(peer)),
      stdio: ['ignore', 'ignore', 'pipe'],
      shell: process.platform === 'win32',
      timeout: 180_000,
    });
    return undefined;
  } catch (error) {
    const reason = `${error.stderr ?? ''}`.trim().split('\n')[0] || error.message;
    console.error(`The peer ${peer} cannot be installed and is NOT measured: ${reason}`);
    return `not installed: ${reason}`;
  }
}

/** npm writes this file last. */
function isInstalled(peer) {
  const wanted = packagesIn(new URL('package-lock.json', directoryOf(peer)));
  let found;
  try {
    found = packagesIn(new URL('node_modules/.package-lock.json', directoryOf(peer)));
  } catch {
    return false;
  }
  return Object.entries(wanted).every(
    ([path, { version, optional }]) => path === '' || optional || found[path]?.version === version,
  );
}

function packagesIn(url) {
  return JSON.parse(readFileSync(url, 'utf8')).packages;
}
