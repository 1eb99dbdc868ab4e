import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { afterEach } from '@jest/globals';
import { waitFor } from '../../brokers/wait-for.js';

const bin = resolve(__dirname, '../../../dist/cli.js');
const running = new Set<Cli>();

afterEach(async () => {
  await Promise.all([...running].map((one) => one.kill()));
  running.clear();
});

export interface CliResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command line as a process of its own; it dies with this one. */
export class Cli {
  stdout = '';
  stderr = '';
  readonly ended: Promise<CliResult>;
  private readonly child: ChildProcess;

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.child = spawn('setpriv', ['--pdeathsig', 'KILL', process.execPath, bin, ...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(this);
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.ended = new Promise((done) => {
      this.child.on('close', (code, signal) => {
        running.delete(this);
        done({ code, signal, stdout: this.stdout, stderr: this.stderr });
      });
    });
  }

  get pid(): number {
    return this.child.pid!;
  }

  static run(...args: string[]): Promise<CliResult> {
    return new Cli(args).ended;
  }

  /** The requeue service, connected. */
  static async requeue(servers: string, dataDir: string, ...args: string[]): Promise<Cli> {
    const cli = new Cli(['requeue', '--servers', servers, '--data-dir', dataDir, ...args]);
    await cli.until('Listening on');
    return cli;
  }

  until(text: string): Promise<void> {
    return waitFor(() => this.stdout.includes(text), `«${text}» in: ${this.stdout}${this.stderr}`, 45_000);
  }

  /** Its log lines. */
  get records(): Record<string, any>[] {
    return this.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, any>);
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  async kill(): Promise<CliResult> {
    this.child.kill('SIGKILL');
    return this.ended;
  }
}
