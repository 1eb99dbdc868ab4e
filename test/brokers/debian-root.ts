import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { debianSource } from './debian-source.js';
import { withFileLock } from './file-lock.js';
import { runCommand } from './run-command.js';

export interface DebianRoot {
  /** Names the folder: two clones of the project share it. */
  name: string;
  title: string;
  suite: string;
  packages: readonly string[];
  /** The packages alone, for a program that needs nothing else and runs outside of the root. */
  standalone?: boolean;
  /** A path in the root that is there when the wanted version was unpacked. */
  contains: string;
}

const baseSystem = ['dash', 'coreutils', 'sed', 'grep'];
const unneeded = ['doc', 'man', 'info', 'locale', 'lintian'];

/**
 * A folder with Debian packages of one suite and all they need, to be run by chroot. Nothing is installed
 * on the machine: no daemon starts, and the suite need not be the machine's own.
 */
export async function ensureDebianRoot(wanted: DebianRoot): Promise<string> {
  const root = join(cacheDirectory(), wanted.name);
  if (existsSync(root)) return root;
  await mkdir(dirname(root), { recursive: true, mode: 0o700 });
  return withFileLock(`${root}.lock`, async () => {
    if (existsSync(root)) return root;
    const building = `${root}.building`;
    await rm(building, { recursive: true, force: true });
    try {
      await build(wanted, building);
      await rename(join(building, 'root'), root);
    } finally {
      await rm(building, { recursive: true, force: true });
    }
    return root;
  });
}

function cacheDirectory(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'nestjs-messaging');
}

async function build(wanted: DebianRoot, directory: string): Promise<void> {
  const started = Date.now();
  const apt = await privateApt(directory, wanted.suite);
  await apt('update');
  const install = wanted.standalone ? ['download'] : ['install', '--yes', '--no-install-recommends', '--download-only'];
  const packages = [...wanted.packages, ...(wanted.standalone ? [] : baseSystem)];
  const files = [...(await apt(...install, '--print-uris', ...packages)).matchAll(/^'.*' \S+ (\d+)/gm)];
  const megabytes = Math.round(files.reduce((sum, [, size]) => sum + Number(size), 0) / 1e6);
  progress(`${wanted.title}: downloading ${files.length} packages (${megabytes} MB)…`);
  await apt(...install, ...packages);

  const root = join(directory, 'root');
  const archives = join(directory, 'archives');
  await mkdir(root);
  for (const file of await readdir(archives)) {
    if (file.endsWith('.deb')) await runCommand('dpkg', ['-x', join(archives, file), root]);
  }
  if (!existsSync(join(root, wanted.contains))) throw new Error(`Debian ${wanted.suite} has no ${wanted.contains}`);
  if (!wanted.standalone) await complete(root);
  progress(`${wanted.title}: ready in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}

/** What the packages' own scripts would have made. */
async function complete(root: string): Promise<void> {
  for (const folder of ['bin', 'sbin', 'lib', 'lib64']) {
    if (!existsSync(join(root, folder))) await symlink(`usr/${folder}`, join(root, folder));
  }
  if (!existsSync(join(root, 'bin/sh'))) await symlink('dash', join(root, 'bin/sh'));
  for (const folder of ['dev', 'proc', 'tmp', 'data']) await mkdir(join(root, folder), { recursive: true });
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  await writeFile(join(root, 'etc/hosts'), '127.0.0.1 localhost\n');
  for (const folder of unneeded) await rm(join(root, 'usr/share', folder), { recursive: true, force: true });
}

/** apt-get with the machine's way to the network and keys, but sources, state and cache of its own. */
async function privateApt(directory: string, suite: string): Promise<(...args: string[]) => Promise<string>> {
  for (const folder of ['lists/partial', 'archives/partial', 'etc/apt.conf.d', 'etc/preferences.d']) {
    await mkdir(join(directory, folder), { recursive: true });
  }
  const source = await debianSource(suite);
  await writeFile(join(directory, 'etc', source.format === 'deb822' ? 'debian.sources' : 'sources.list'), source.text);
  await writeFile(join(directory, 'status'), '');
  const network = await runCommand('apt-config', ['dump', 'Acquire']);
  const settings = {
    'Dir::Etc': join(directory, 'etc'),
    'Dir::Etc::sourceparts': join(directory, 'etc'),
    'Dir::Etc::netrc': '/etc/apt/auth.conf',
    'Dir::Etc::netrcparts': '/etc/apt/auth.conf.d',
    'Dir::Etc::trusted': '/etc/apt/trusted.gpg',
    'Dir::Etc::trustedparts': '/etc/apt/trusted.gpg.d',
    'Dir::State': directory,
    'Dir::State::status': join(directory, 'status'),
    'Dir::Cache': directory,
    'APT::Sandbox::User': 'root',
    'APT::Update::Error-Mode': 'any',
    'Acquire::Retries': '3',
  };
  const config = join(directory, 'apt.conf');
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";\n`);
  await writeFile(config, network + lines.join(''));
  const env = { ...process.env, APT_CONFIG: config, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };
  // «download» leaves its files in the working directory.
  return (...args) => runCommand('apt-get', args, { env, cwd: join(directory, 'archives') });
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
