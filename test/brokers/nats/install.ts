import { join } from 'node:path';
import { type DebianBroker, ensureDebianRoot } from '../debian-root.js';
import { runCommand } from '../run-command.js';

/** The versions the tests run on, oldest first, and the Debian suites that have them. */
const suites = { '2.9.10': ['bookworm'], '2.10.27': ['trixie'], '2.15': ['unstable', 'testing'] } as const;

export type NatsVersion = keyof typeof suites;

export const natsVersions = Object.keys(suites) as NatsVersion[];

/** A program that needs nothing of its Debian release, and the version it says it has. */
export interface InstalledNats {
  version: string;
  program: string;
}

const broker: DebianBroker = {
  title: 'NATS',
  packages: ['nats-server'],
  standalone: true,
  versionIn: async (root) => /v(\d\S*)/.exec(await runCommand(programIn(root), ['--version']))?.[1],
};

/** Downloaded the first time. */
export async function installNats(version: NatsVersion): Promise<InstalledNats> {
  const installed = await ensureDebianRoot(broker, version, suites[version]);
  return { version: installed.version, program: programIn(installed.root) };
}

function programIn(root: string): string {
  return join(root, 'usr/sbin/nats-server');
}
