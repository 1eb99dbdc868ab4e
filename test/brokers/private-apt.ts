import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { debianSource } from './debian-source.js';
import { runCommand } from './run-command.js';

/** apt-get of one suite; what is downloaded lands in `directory`. */
export type Apt = (directory: string, ...args: string[]) => Promise<string>;

interface OpenApt {
  readonly folder: string;
  readonly apt: Promise<Apt>;
  users: number;
}

const open = new Map<string, Promise<OpenApt>>();

/**
 * Works with an apt of its own, which knows the packages of this suite and nothing of what is installed here. The lists
 * are fetched once for all who want the suite at the same time, and removed after the last of them.
 */
export async function withApt<T>(suite: string, work: (apt: Apt) => Promise<T>): Promise<T> {
  let opening = open.get(suite);
  if (!opening) open.set(suite, (opening = openApt(suite)));
  const opened = await opening;
  opened.users++;
  try {
    return await work(await opened.apt);
  } finally {
    opened.users--;
    if (opened.users === 0) {
      open.delete(suite);
      await rm(opened.folder, { recursive: true, force: true });
    }
  }
}

async function openApt(suite: string): Promise<OpenApt> {
  const folder = await mkdtemp(join(tmpdir(), 'nestjs-messaging-test-apt-'));
  return { folder, apt: updatedApt(folder, suite), users: 0 };
}

/** With the machine's way to the network and keys, but sources, state and cache of its own. */
async function updatedApt(folder: string, suite: string): Promise<Apt> {
  for (const name of ['lists/partial', 'etc/apt.conf.d', 'etc/preferences.d']) {
    await mkdir(join(folder, name), { recursive: true });
  }
  const source = await debianSource(suite);
  await writeFile(join(folder, 'etc', source.format === 'deb822' ? 'debian.sources' : 'sources.list'), source.text);
  await writeFile(join(folder, 'status'), '');
  const network = await runCommand('apt-config', ['dump', 'Acquire']);
  const settings = {
    'Dir::Etc': join(folder, 'etc'),
    'Dir::Etc::sourceparts': join(folder, 'etc'),
    'Dir::Etc::netrc': '/etc/apt/auth.conf',
    'Dir::Etc::netrcparts': '/etc/apt/auth.conf.d',
    'Dir::Etc::trusted': '/etc/apt/trusted.gpg',
    'Dir::Etc::trustedparts': '/etc/apt/trusted.gpg.d',
    'Dir::State': folder,
    'Dir::State::status': join(folder, 'status'),
    'Dir::Cache': folder,
    'APT::Sandbox::User': 'root',
    'APT::Update::Error-Mode': 'any',
    'Acquire::Retries': '3',
    'Acquire::Languages': 'none',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled': 'false',
  };
  const config = join(folder, 'apt.conf');
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";\n`);
  await writeFile(config, network + lines.join(''));
  const env = { ...process.env, APT_CONFIG: config, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };
  // apt-get takes a lock on its state and ends where another has it: the brokers of one suite take turns.
  let last: Promise<unknown> = Promise.resolve();
  const apt: Apt = async (directory, ...args) => {
    await mkdir(join(directory, 'partial'), { recursive: true });
    // «download» leaves its files in the working directory.
    const run = (): Promise<string> =>
      runCommand('apt-get', ['-o', `Dir::Cache::archives=${directory}`, ...args], { env, cwd: directory });
    const turn = last.then(run);
    last = turn.catch(() => undefined);
    return turn;
  };
  await apt(folder, 'update');
  return apt;
}
