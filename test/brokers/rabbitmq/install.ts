import { ensureDebianRoot, reasonAgainstDebianRoots } from '../debian-root.js';

/** The versions the tests run on, and the Debian release that has them. */
const suites = { '3.10.8': 'bookworm', '4.0.5': 'trixie' } as const;

export type RabbitVersion = keyof typeof suites;

export const rabbitVersions = Object.keys(suites) as RabbitVersion[];

/** Why no version can be installed on this machine, if so. */
export const reasonAgainstInstall = reasonAgainstDebianRoots;

/** The folder to run this version in by chroot; downloaded the first time. */
export function installRabbit(version: RabbitVersion): Promise<string> {
  return ensureDebianRoot({
    name: `rabbitmq-${version}`,
    title: `RabbitMQ ${version}`,
    suite: suites[version],
    packages: ['rabbitmq-server', 'openssl'],
    contains: `usr/lib/rabbitmq/lib/rabbitmq_server-${version}`,
  });
}
