import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from './cache-directory.js';

export type NpmFolder = { readonly folder: string; readonly reason?: undefined } | { readonly reason: string };

/** The packages of a lock file, fetched once for all clones; or why they cannot be had. `then`: what a shell does after. */
export function npmFolder(name: string, from: string, more: readonly string[] = [], then = ''): NpmFolder {
  const files = ['package.json', 'package-lock.json', ...more];
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(join(from, file)));
  const folder = join(cacheDirectory(), `${name}-${hash.digest('hex').slice(0, 12)}`);
  if (existsSync(join(folder, '.installed'))) return { folder };
  try {
    mkdirSync(folder, { recursive: true });
    for (const file of files) copyFileSync(join(from, file), join(folder, file));
    const command = `test -e .installed && exit 0
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error --legacy-peer-deps
${then}
touch .installed`;
    execFileSync('flock', ['.lock', 'sh', '-ec', command], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: 600_000,
    });
    return { folder };
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: Buffer };
    const said = String(stderr ?? '').trim().split('\n')[0]; // prettier-ignore
    return { reason: said || message };
  }
}
