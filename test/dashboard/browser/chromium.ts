import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { ensureDebianRoot, reasonAgainstDebianRoots } from '../../brokers/debian-root.js';
import { npmFolder } from '../../brokers/npm-folder.js';

const ON_PATH = ['chromium', 'chromium-browser', 'google-chrome'];

/** A browser and what checks accessibility, or why there is none. */
export type Chromium =
  | { readonly open: () => Promise<unknown>; readonly axe: string; readonly reason?: undefined }
  | { readonly reason: string };

/** `CHROMIUM_PATH`, one that is installed, or Debian's in a folder of the cache; driven by what a lock file pins. */
export async function chromium(): Promise<Chromium> {
  try {
    const program = await programOf();
    const require = createRequire(join(installedTools(), 'package.json'));
    const { chromium: driver } = require('playwright-core') as {
      chromium: { launch(options: object): Promise<unknown> };
    };
    const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
    const args = ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'];
    return { axe, open: () => driver.launch({ executablePath: program, args, timeout: 120_000 }) };
  } catch (error) {
    const reason = (error as Error).message.split('\n')[0];
    if (process.env.REQUIRE_BROWSER === '1')
      throw new Error(`REQUIRE_BROWSER=1, and there is no browser: ${reason}`, { cause: error });
    process.stderr.write(`SKIPPED: the tests of the dashboard in a browser: ${reason}\n`);
    return { reason };
  }
}

/** Whether it is worth trying; what is missing then is told when it is tried. */
export function mayHaveChromium(): boolean {
  const isRoot = process.platform === 'linux' && process.getuid?.() === 0 && existsSync('/etc/debian_version');
  return process.env.REQUIRE_BROWSER === '1' || installedProgram() !== undefined || isRoot;
}

function installedTools(): string {
  const { folder, reason } = npmFolder('browser-tools', __dirname);
  if (reason !== undefined) throw new Error(reason);
  return folder;
}

function installedProgram(): string | undefined {
  const { CHROMIUM_PATH, PATH = '' } = process.env;
  if (CHROMIUM_PATH) return CHROMIUM_PATH;
  const all = PATH.split(':').flatMap((folder) => ON_PATH.map((name) => join(folder, name)));
  return all.find((path) => existsSync(path));
}

async function programOf(): Promise<string> {
  const installed = installedProgram();
  if (installed !== undefined) return installed;
  const against = await reasonAgainstDebianRoots();
  if (against !== undefined) throw new Error(`${against}; CHROMIUM_PATH names a browser`);
  const { root } = await ensureDebianRoot(DEBIAN, 'bookworm', ['bookworm', 'trixie']);
  return wrapperFor(root);
}

const DEBIAN = {
  title: 'Chromium',
  packages: ['chromium', 'fonts-dejavu-core'],
  versionIn: async (root: string) => (existsSync(join(root, 'usr/lib/chromium/chromium')) ? 'bookworm' : undefined),
};

/** Runs it in its root, with this machine's /tmp, where the driver keeps its profile. */
function wrapperFor(root: string): string {
  const path = join(root, 'run-chromium');
  if (existsSync(path)) return path;
  const script = `#!/bin/sh
exec setpriv --pdeathsig KILL unshare --mount --propagation private sh -ec '
  mkdir -p "$0/tmp" && mount --rbind /proc "$0/proc" && mount --rbind /dev "$0/dev" && mount --bind /tmp "$0/tmp"
  exec env HOME=/tmp chroot "$0" /usr/lib/chromium/chromium "$@"' '${root}' "$@"
`;
  writeFileSync(path, script);
  chmodSync(path, 0o755);
  return path;
}
