import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type DebianBroker, type DebianRoot, ensureDebianRoot, reasonAgainstDebianRoots } from '../debian-root.js';

/** The versions the tests run on, oldest first, and the Debian suites that have them. */
const suites = { '3.10.8': ['bookworm'], '4.0.5': ['trixie'], '4.3': ['unstable', 'testing'] } as const;

export type RabbitVersion = keyof typeof suites;

export const rabbitVersions = Object.keys(suites) as RabbitVersion[];

/** A folder to run RabbitMQ in by chroot, and the version that is there. */
export type InstalledRabbit = DebianRoot;

const broker: DebianBroker = {
  title: 'RabbitMQ',
  packages: ['rabbitmq-server', 'openssl'],
  versionIn: async (root) => {
    const folders = await readdir(join(root, 'usr/lib/rabbitmq/lib'));
    return folders.map((name) => /^rabbitmq_server-(.+)$/.exec(name)?.[1]).find((version) => version !== undefined);
  },
};

/** Why no version can be installed on this machine, if so. */
export const reasonAgainstInstall = reasonAgainstDebianRoots;

/** Downloaded the first time. */
export function installRabbit(version: RabbitVersion): Promise<InstalledRabbit> {
  return ensureDebianRoot(broker, version, suites[version]);
}
