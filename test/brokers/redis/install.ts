import { readFile } from 'node:fs/promises';
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
}

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
  return { ...(await ensureDebianRoot(broker, wanted, [suite])), title, program };
}
