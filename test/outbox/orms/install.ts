import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { cacheDirectory } from '../../brokers/cache-directory.js';

const FILES = ['package.json', 'package-lock.json', 'schema.prisma'];

/** The libraries as their lock file says, fetched once for all clones; or why they cannot be had. */
export function installLibraries():
  { readonly folder: string; readonly reason?: undefined } | { readonly reason: string } {
  const hash = createHash('sha256');
  for (const file of FILES) hash.update(readFileSync(resolve(__dirname, file)));
  const folder = join(cacheDirectory(), `orms-${hash.digest('hex').slice(0, 12)}`);
  const done = join(folder, '.installed');
  if (existsSync(done)) return { folder };
  try {
    mkdirSync(folder, { recursive: true });
    for (const file of FILES) copyFileSync(resolve(__dirname, file), join(folder, file));
    // Generating fetches a program that it does not use.
    const command = `test -e .installed && exit 0
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error --legacy-peer-deps
PRISMA_SCHEMA_ENGINE_BINARY=/bin/true node_modules/.bin/prisma generate --schema schema.prisma
touch .installed`;
    execFileSync('flock', ['.lock', 'sh', '-ec', command], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: 600_000,
    });
    return { folder };
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: Buffer };
    return {
      reason:
        String(stderr ?? '')
          .trim()
          .split('\n')[0] || message,
    };
  }
}

/** `require` from there. */
export function requireFrom(folder: string): NodeRequire {
  return createRequire(join(folder, 'package.json'));
}
