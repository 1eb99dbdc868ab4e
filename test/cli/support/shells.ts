import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { type DebianBroker, ensureDebianRoot, reasonAgainstDebianRoots } from '../../brokers/debian-root.js';
import { runCommand } from '../../brokers/run-command.js';

export interface ShellProgram {
  readonly program: string;
  readonly env: Readonly<Record<string, string>>;
}

interface Packaged {
  readonly version: string;
  readonly suites: readonly string[];
  readonly packages: readonly string[];
  envIn(root: string): Record<string, string>;
}

/** As Debian 12 has them; what they need besides is on every Debian. */
const PACKAGED: Readonly<Record<'zsh' | 'fish', Packaged>> = {
  zsh: {
    version: '5.9',
    suites: ['bookworm'],
    packages: ['zsh', 'zsh-common'],
    envIn: (root) => ({
      FPATH: ['', '/Base', '/Unix', '/Zsh']
        .map((folder) => join(root, `usr/share/zsh/functions/Completion${folder}`))
        .join(':'),
      ZSH_MODULES: join(root, 'usr/lib/x86_64-linux-gnu/zsh/5.9'),
    }),
  },
  fish: {
    version: '3.6',
    suites: ['bookworm'],
    packages: ['fish', 'fish-common', 'libpcre2-32-0'],
    envIn: (root) => ({
      LD_LIBRARY_PATH: join(root, 'usr/lib/x86_64-linux-gnu'),
      FISH_FUNCTIONS: join(root, 'usr/share/fish/functions'),
    }),
  },
};

/** The shell of this machine, or one that is unpacked into the cache; a text says why there is none. */
export async function findShell(name: 'bash' | 'zsh' | 'fish'): Promise<ShellProgram | string> {
  if (spawnSync(name, ['-c', 'exit 7']).status === 7) return { program: name, env: {} };
  if (name === 'bash') return 'there is no bash';
  const reason = await reasonAgainstDebianRoots();
  if (reason !== undefined) return reason;
  const { version, suites, packages, envIn } = PACKAGED[name];
  const program = (root: string): string => join(root, name === 'zsh' ? 'bin/zsh' : 'usr/bin/fish');
  const debian: DebianBroker = {
    title: name,
    packages,
    standalone: true,
    versionIn: async (root) =>
      /\d+\.\d+/.exec(await runCommand(program(root), ['--version'], { env: { ...process.env, ...envIn(root) } }))?.[0],
  };
  try {
    const { root } = await ensureDebianRoot(debian, version, suites);
    return { program: program(root), env: envIn(root) };
  } catch (error) {
    if (process.env.REQUIRE_BROKERS) throw error;
    return (error as Error).message;
  }
}
