import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cacheDirectory } from './cache-directory.js';
import { withFileLock } from './file-lock.js';
import { type Apt, withApt } from './private-apt.js';
import { runCommand } from './run-command.js';

/** A broker as Debian packages it. */
export interface DebianBroker {
  /** For people: `RabbitMQ`. */
  title: string;
  packages: readonly string[];
  /** The packages alone, for a program that needs nothing else and runs outside of the root. */
  standalone?: boolean;
  /** The version in an unpacked root; rejects or gives undefined where the broker is not there. */
  versionIn(root: string): Promise<string | undefined>;
}

export interface DebianRoot {
  /** The folder to enter by chroot. */
  root: string;
  /** What is in it, also where Debian has moved on from what was wanted. */
  version: string;
}

const baseSystem = ['dash', 'coreutils', 'sed', 'grep'];
const unneeded = ['doc', 'man', 'info', 'locale', 'lintian'];

/**
 * A folder with the packages of one suite and all they need, to be run by chroot. Nothing is installed on the machine:
 * no daemon starts, and the suite need not be the machine's own. Two clones of the project share it. Where the suite has
 * another version by now (unstable moves on), it is that one, and a line says so; where it cannot be had from the first
 * suite, the next one is tried.
 */
export async function ensureDebianRoot(
  broker: DebianBroker,
  wanted: string,
  suites: readonly string[],
): Promise<DebianRoot> {
  const title = `${broker.title} ${wanted}`;
  const root = join(cacheDirectory(), `${broker.title.toLowerCase()}-${wanted}`);
  if (!existsSync(root)) {
    await mkdir(dirname(root), { recursive: true, mode: 0o700 });
    await withFileLock(`${root}.lock`, async () => {
      if (existsSync(root)) return;
      const building = `${root}.building`;
      try {
        await buildFromFirst(suites, broker, title, building);
        await rename(join(building, 'root'), root);
      } finally {
        await rm(building, { recursive: true, force: true });
      }
    });
  }
  const version = await versionOf(broker, root);
  if (version !== wanted && !version.startsWith(`${wanted}.`)) {
    progress(`${title}: Debian ${suites[0]} has ${version} by now, which is tested in its place`);
  }
  return { root, version };
}

async function versionOf(broker: DebianBroker, root: string): Promise<string> {
  const version = await broker.versionIn(root);
  if (version === undefined) throw new Error(`${root} has no ${broker.title}`);
  return version;
}

async function buildFromFirst(
  [suite, ...others]: readonly string[],
  broker: DebianBroker,
  title: string,
  directory: string,
): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory);
  progress(`${title}: downloading from Debian ${suite}…`);
  const started = Date.now();
  try {
    await withApt(suite, (apt) => build(apt, broker, directory));
    progress(`${title}: ready in ${((Date.now() - started) / 1000).toFixed(1)} s`);
  } catch (error) {
    if (others.length === 0) throw error;
    progress(`${title}: not from Debian ${suite}: ${(error as Error).message}`);
    await buildFromFirst(others, broker, title, directory);
  }
}

async function build(apt: Apt, broker: DebianBroker, directory: string): Promise<void> {
  const archives = join(directory, 'archives');
  if (broker.standalone) await apt(archives, 'download', ...broker.packages);
  else {
    const packages = [...broker.packages, ...baseSystem];
    await apt(archives, 'install', '--yes', '--no-install-recommends', '--download-only', ...packages);
  }
  const root = join(directory, 'root');
  await mkdir(root);
  for (const file of await readdir(archives)) {
    if (file.endsWith('.deb')) await runCommand('dpkg', ['-x', join(archives, file), root]);
  }
  await versionOf(broker, root);
  if (!broker.standalone) await complete(root);
}

/** What the packages' own scripts would have made. */
async function complete(root: string): Promise<void> {
  for (const folder of ['bin', 'sbin', 'lib', 'lib64']) {
    if (!existsSync(join(root, folder))) await symlink(`usr/${folder}`, join(root, folder));
  }
  if (!existsSync(join(root, 'bin/sh'))) await symlink('dash', join(root, 'bin/sh'));
  for (const folder of ['dev', 'proc', 'tmp', 'data']) await mkdir(join(root, folder), { recursive: true });
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n');
  await writeFile(join(root, 'etc/hosts'), '127.0.0.1 localhost\n');
  for (const folder of unneeded) await rm(join(root, 'usr/share', folder), { recursive: true, force: true });
}

/** Whether roots can be built and entered here; else why not. */
export async function reasonAgainstDebianRoots(): Promise<string | undefined> {
  if (process.platform !== 'linux') return `not on ${process.platform}`;
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  if (!/^ID=debian$/m.test(release)) return 'not on Debian';
  if (process.getuid?.() !== 0) return 'not root';
  const allowed = await runCommand('unshare', ['--mount', 'true']).then(
    () => true,
    () => false,
  );
  return allowed ? undefined : 'no right to make a mount namespace';
}

function progress(line: string): void {
  process.stderr.write(`${line}\n`);
}
