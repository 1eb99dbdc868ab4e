import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { suspendProcess } from './suspend.js';

/** A server of this process alone: it can be killed, stopped for a while and started again on its data. */
export abstract class ServerProcess {
  protected child?: ChildProcess;

  /** `directory`: its data, and what it says in `output.log`. */
  protected constructor(protected readonly directory: string) {}

  /** Sets `child`; resolves when a client can connect. */
  protected abstract launch(): Promise<void>;

  /** SIGKILL. The data stay. */
  async kill(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    await killed(child);
  }

  /** Resolves when it has ended by itself. */
  async ended(): Promise<void> {
    const { child } = this;
    if (child && isRunning(child)) await new Promise((resolve) => child.once('exit', resolve));
  }

  /** Kills it and starts it again on the same data and port. */
  async restart(): Promise<void> {
    await this.kill();
    await this.launch();
  }

  /** The server hangs, with all its connections: sockets stay open and say nothing. */
  async suspend(): Promise<void> {
    if (this.child?.pid) await suspendProcess(this.child.pid);
  }

  resume(): void {
    this.child?.kill('SIGCONT');
  }

  /** Kills it and removes its data. */
  async stop(): Promise<void> {
    await this.kill();
    await rm(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }

  /** Waits until `child` is there for clients. Where it is not it is stopped, and the error has the end of its log. */
  protected async answers(
    child: ChildProcess,
    isReady: () => boolean | Promise<boolean>,
    { name, withinMs, everyMs }: { readonly name: string; readonly withinMs: number; readonly everyMs: number },
  ): Promise<void> {
    this.child = child;
    const deadline = Date.now() + withinMs;
    while (!(await isReady())) {
      if (!isRunning(child) || Date.now() > deadline) {
        const log = lastLines(this.logFile);
        await this.stop();
        throw new Error(`${name} did not start:\n${log}`);
      }
      await pause(everyMs);
    }
  }

  protected get logFile(): string {
    return join(this.directory, 'output.log');
  }
}

export function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

/** Resolves when it has ended, by SIGKILL or by itself. */
export async function killed(child: ChildProcess | undefined): Promise<void> {
  if (!child || !isRunning(child)) return;
  await new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}

/** What a log ends with. */
export function lastLines(file: string): string {
  return readFileSync(file, 'utf8').trim().split('\n').slice(-15).join('\n');
}
