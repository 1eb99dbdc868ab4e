import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DebianBroker, type DebianRoot, ensureDebianRoot } from '../debian-root.js';

/** The versions the tests run on, oldest first: the program that each is, and the Debian suite that has it. */
const servers = {
  '7.0.15': { title: 'Redis', program: 'redis-server', suite: 'bookworm' },
  '8.1': { title: 'Valkey', program: 'valkey-server', suite: 'trixie' },
} as const;

export type RedisVersion = keyof typeof servers;

export const redisVersions = Object.keys(servers) as RedisVersion[];

/** A folder to run the program in by chroot. */
export interface InstalledRedis extends DebianRoot {
  /** `Redis` or `Valkey`. */
  title: string;
  program: string;
  /** The library with which its clock can be stepped. */
  faketime?: string;
}

/** Where the library is in its package. Valkey 8.1 crashes with it: its jemalloc asks for the time before that is ready. */
const FAKETIME = 'usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';

/** Downloaded the first time. */
export async function installRedis(wanted: RedisVersion): Promise<InstalledRedis> {
  const { title, program: name, suite } = servers[wanted];
  const program = join('/usr/bin', name);
  // Beside its own version the program names older ones, in which a command was new.
  const versions = new RegExp(`(?<=\\0)${wanted.replaceAll('.', '\\.')}(\\.\\d+)?(?=\\0)`, 'g');
  const broker: DebianBroker = {
    title,
    packages: [name],
    versionIn: async (root) => (await readFile(join(root, program), 'latin1')).match(versions)?.sort().at(-1),
  };
  const faketime = title === 'Redis' ? await faketimeOf(suite) : undefined;
  return { ...(await ensureDebianRoot(broker, wanted, [suite])), title, program, faketime };
}

async function faketimeOf(suite: string): Promise<string | undefined> {
  const library = (root: string): string => join(root, FAKETIME);
  const versionIn = (root: string): Promise<string> => access(library(root)).then(() => '0.9');
  try {
    const debian = { title: 'faketime', packages: ['libfaketime'], standalone: true, versionIn };
    return library((await ensureDebianRoot(debian, '0.9', [suite])).root);
  } catch (error) {
    if (process.env.REQUIRE_BROKERS === '1') throw error;
    process.stderr.write(`SKIPPED: the steps of the clock of Redis: ${(error as Error).message}\n`);
    return undefined;
  }
}
