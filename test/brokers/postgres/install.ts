import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DebianBroker, type DebianRoot, ensureDebianRoot } from '../debian-root.js';

/** The versions the tests run on, oldest first, and the Debian suites that have them. */
const suites = { '15': ['bookworm'], '17': ['trixie'] } as const;

export type PostgresVersion = keyof typeof suites;

export const postgresVersions = Object.keys(suites) as PostgresVersion[];

/** Downloaded the first time. A folder to run the server in by chroot, PgBouncer with it. */
export function installPostgres(version: PostgresVersion): Promise<DebianRoot> {
  const broker: DebianBroker = {
    title: 'PostgreSQL',
    packages: [`postgresql-${version}`, 'pgbouncer', 'util-linux'],
    versionIn: async (root) => {
      const folder = join(root, 'usr/lib/postgresql');
      const [major] = await readdir(folder);
      const program = await readFile(join(folder, major, 'bin/postgres'), 'latin1');
      return /\(PostgreSQL\) (\d+\.\d+)/.exec(program)?.[1];
    },
  };
  return ensureDebianRoot(broker, version, suites[version]);
}
