import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { waitFor } from '../../brokers/wait-for.js';

const bin = resolve(__dirname, '../../../dist/cli.js');

/** `script` of util-linux, which every Debian has: it runs a command on a pseudo-terminal. */
export const hasTerminal = /util-linux/.test(spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout ?? '');

const running = new Set<Terminal>();

/** The command line on a terminal of its own. What it writes to standard output and error comes as one text. */
export class Terminal {
  text = '';
  readonly ended: Promise<{ readonly code: number | null; readonly text: string }>;
  private readonly child: ChildProcess;

  constructor(
    args: readonly string[],
    { env = {}, columns = 100 }: { readonly env?: NodeJS.ProcessEnv; readonly columns?: number },
  ) {
    const words = [process.execPath, '--no-warnings', bin, ...args].map((word) => `'${word.replaceAll("'", `'\\''`)}'`);
    const command = `stty cols ${columns} rows 24; exec ${words.join(' ')}`;
    this.child = spawn('setpriv', ['--pdeathsig', 'KILL', 'script', '-qefc', command, '/dev/null'], {
      env: { ...process.env, TERM: 'xterm', NO_COLOR: '', SHELL: '/bin/sh', ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    running.add(this);
    this.child.stdin!.on('error', () => undefined);
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => (this.text += text));
    this.ended = new Promise((done) => {
      this.child.on('close', (code) => {
        running.delete(this);
        done({ code, text: this.text });
      });
    });
  }

  /** Presses keys. */
  type(keys: string): void {
    this.child.stdin!.write(keys);
  }

  until(text: string): Promise<void> {
    return waitFor(() => this.text.includes(text), `«${text}» in: ${JSON.stringify(this.text)}`, 45_000);
  }

  static async killAll(): Promise<void> {
    await Promise.all(
      [...running].map((one) => {
        one.child.kill('SIGKILL');
        return one.ended;
      }),
    );
  }
}
