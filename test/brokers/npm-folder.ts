import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from './cache-directory.js';

export type NpmFolder =
  { readonly folder: string; readonly reason?: undefined } | { readonly folder?: undefined; readonly reason: string };

/**
 * The packages of a lock file, fetched once for all clones; or why they cannot be had, which is told.
 * `then`: what a shell does after. @throws where they cannot be had and REQUIRE_BROKERS=1
 */
export function npmFolder(name: string, from: string, more: readonly string[] = [], then = ''): NpmFolder {
  const result = fetched(name, from, more, then);
  if (result.reason === undefined) return result;
  if (process.env.REQUIRE_BROKERS === '1') throw new Error(`REQUIRE_BROKERS=1, but ${name}: ${result.reason}`);
  process.stderr.write(`SKIPPED: what needs ${name}: ${result.reason}\n`);
  return result;
}

/** The same for packages that are tested with a broker: not fetched where there is none. */
export function npmFolderBesideBrokers(...wanted: Parameters<typeof npmFolder>): NpmFolder {
  return process.env.TEST_BROKERS === 'none' ? { reason: 'TEST_BROKERS=none' } : npmFolder(...wanted);
}

function fetched(name: string, from: string, more: readonly string[], then: string): NpmFolder {
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
