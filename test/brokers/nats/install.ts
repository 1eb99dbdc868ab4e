import { join } from 'node:path';
import { ensureDebianRoot } from '../debian-root.js';

/** The versions the tests run on, and the Debian release that has them. */
const suites = { '2.9.10': 'bookworm', '2.10.27': 'trixie' } as const;

export type NatsVersion = keyof typeof suites;

export const natsVersions = Object.keys(suites) as NatsVersion[];

/** The program of this version, downloaded the first time. It needs nothing of its Debian release. */
export async function installNats(version: NatsVersion): Promise<string> {
  const root = await ensureDebianRoot({
    name: `nats-${version}`,
    title: `NATS ${version}`,
    suite: suites[version],
    packages: ['nats-server'],
    standalone: true,
    contains: 'usr/sbin/nats-server',
  });
  return join(root, 'usr/sbin/nats-server');
}
