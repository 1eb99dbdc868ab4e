import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { cacheDirectory } from '../../brokers/cache-directory.js';

const FILES = ['package.json', 'package-lock.json'];

/** The peers as their lock file says, fetched once for all clones; or why they cannot be had. */
export function installPeers(): { readonly folder?: string; readonly reason?: string } {
  if (process.env.TEST_BROKERS === 'none') return { reason: 'TEST_BROKERS=none' };
  const hash = createHash('sha256');
  for (const file of FILES) hash.update(readFileSync(resolve(__dirname, file)));
  const folder = join(cacheDirectory(), `request-peers-${hash.digest('hex').slice(0, 12)}`);
  if (existsSync(join(folder, '.installed'))) return { folder };
  try {
    mkdirSync(folder, { recursive: true });
    for (const file of FILES) copyFileSync(resolve(__dirname, file), join(folder, file));
    const command = `test -e .installed && exit 0
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error --legacy-peer-deps
touch .installed`;
    const options = { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'], timeout: 600_000 } as const;
    execFileSync('flock', ['.lock', 'sh', '-ec', command], { ...options, stdio: [...options.stdio] });
    return { folder };
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: Buffer };
    return { reason: String(stderr ?? '').trim().split('\n')[0] || message }; // prettier-ignore
  }
}
