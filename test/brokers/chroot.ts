import { type ChildProcess, spawn } from 'node:child_process';
import { openSync, closeSync } from 'node:fs';
import { runCommand } from './run-command.js';

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface ChrootProcess {
  root: string;
  /** Seen as /data inside. */
  directory: string;
  log: string;
  command: readonly string[];
  env?: Record<string, string>;
}

const enter = `
  mount --rbind /proc "$1/proc" && mount --rbind /dev "$1/dev" && mount --bind "$2" "$1/data" || exit
  root=$1
  shift 2
  exec chroot "$root" "$@"`;

/** A long-running process in a Debian root. Its pid is the program's own, and it dies with this process. */
export function spawnInRoot({ root, directory, log, command, env }: ChrootProcess): ChildProcess {
  const output = openSync(log, 'a');
  try {
    return spawn(
      'setpriv',
      ['--pdeathsig', 'KILL', 'unshare', '--mount', '--propagation', 'private', 'sh', '-ec', enter, 'sh']
        .concat(root, directory)
        .concat(command),
      { env: { PATH: path, LANG: 'C.UTF-8', ...env }, stdio: ['ignore', output, output] },
    );
  } finally {
    closeSync(output);
  }
}

/** A short command in a Debian root, without /proc, /dev and data. */
export function runInRoot(root: string, command: readonly string[], input?: string): Promise<string> {
  return runCommand('chroot', [root, ...command], { env: { PATH: path, LANG: 'C.UTF-8', HOME: '/' }, input });
}
