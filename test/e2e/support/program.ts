import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** An application that runs in processes of its own, with the built package; its files are in one folder. */
export class Program {
  readonly folder: string;
  private readonly processes = new Set<Running>();

  /** `source`: an ES module. */
  constructor(source: string) {
    // Inside the project, where it finds the package by its name.
    const build = resolve(__dirname, '../../../.build');
    mkdirSync(build, { recursive: true });
    this.folder = mkdtempSync(join(build, 'program-'));
    writeFileSync(this.file('program.mjs'), source);
    writeFileSync(this.journal, '');
  }

  file(name: string): string {
    return join(this.folder, name);
  }

  /** Where processes append what they do: one line each, in the order in which it happened. */
  get journal(): string {
    return this.file('journal');
  }

  /** The lines that are whole, in words. */
  lines(): string[][] {
    return readFileSync(this.journal, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => line.split(' '));
  }

  /** Starts a process with these settings in its environment. */
  start(settings: Readonly<Record<string, string>>): Running {
    const running = new Running(
      spawn(process.execPath, ['--no-warnings', this.file('program.mjs')], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, JOURNAL: this.journal, ...settings },
      }),
    );
    this.processes.add(running);
    void running.ended.then(() => this.processes.delete(running));
    return running;
  }

  /** Kills what still runs, and removes the folder. */
  async close(): Promise<void> {
    await Promise.all([...this.processes].map((running) => running.end('SIGKILL')));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export class Running {
  readonly ended: Promise<unknown>;
  /** What it printed, for a test that fails. */
  output = '';

  constructor(private readonly child: ChildProcess) {
    this.ended = once(child, 'exit');
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (text: Buffer) => (this.output = (this.output + text.toString()).slice(-20_000)));
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  get alive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (this.alive) this.child.kill(signal);
    await this.ended;
  }
}
