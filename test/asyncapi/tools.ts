import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { describe, test } from '@jest/globals';
import { cacheDirectory } from '../brokers/cache-directory.js';

const FILES = ['package.json', 'package-lock.json'];
const SOURCE = resolve(__dirname, 'tools');

/** Loads what judges the documents: a parser, validators, schema libraries. */
export type LoadTool = (<T>(name: string) => T) & { resolve(name: string): string };

/** Tests that need the tools of `tools/package.json`; skipped, and told so, where they cannot be had. */
export function describeWithTools(title: string, body: (load: LoadTool) => void): void {
  const { folder, reason } = installTools();
  if (folder !== undefined) return describe(title, () => body(createRequire(join(folder, 'package.json'))));
  const what = `What judges AsyncAPI documents could not be installed: ${reason}`;
  if (process.env.REQUIRE_BROKERS === '1') {
    test(title, () => {
      throw new Error(what);
    });
    return;
  }
  process.stderr.write(`${what}. Skipped: ${title}\n`);
  describe.skip(title, () => test.todo(what));
}

/** As the lock file says, once for all clones. */
function installTools(): { readonly folder?: string; readonly reason?: string } {
  const hash = createHash('sha256');
  for (const file of FILES) hash.update(readFileSync(join(SOURCE, file)));
  const folder = join(cacheDirectory(), `asyncapi-tools-${hash.digest('hex').slice(0, 12)}`);
  if (existsSync(join(folder, '.installed'))) return { folder };
  try {
    mkdirSync(folder, { recursive: true });
    for (const file of FILES) copyFileSync(join(SOURCE, file), join(folder, file));
    const command = `test -e .installed && exit 0
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error --legacy-peer-deps
touch .installed`;
    execFileSync('flock', ['.lock', 'sh', '-ec', command], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: 300_000,
    });
    return { folder };
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: Buffer };
    return { reason: String(stderr ?? '').trim().split('\n')[0] || message }; // prettier-ignore
  }
}
