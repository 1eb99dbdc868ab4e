import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePorts } from '../free-ports.js';
import { newDirectory } from '../run-directory.js';
import { suspendProcess } from '../suspend.js';
import { serverInfo } from './server-info.js';

export interface NatsServerOptions {
  /** False: without JetStream. Default true. */
  readonly jetstream?: boolean;
  readonly user?: { readonly name: string; readonly password: string };
  /** Default: a free one. */
  readonly port?: number;
  /** Further lines of the configuration file. */
  readonly conf?: readonly string[];
}

/** A server of this process alone: it can be killed, stopped for a while and started again on its data. */
export class NatsServer {
  private child?: ChildProcess;

  private constructor(
    readonly version: string,
    readonly port: number,
    private readonly program: string,
    private readonly directory: string,
    private readonly options: NatsServerOptions,
  ) {}

  static async start(version: string, program: string, options: NatsServerOptions = {}): Promise<NatsServer> {
    const port = options.port ?? (await freePorts(1))[0];
    const server = new NatsServer(version, port, program, newDirectory(`nats-${version}`), options);
    server.configure();
    await server.launch();
    return server;
  }

  /** With the credentials of `options.user`, if any. */
  get url(): string {
    const { user } = this.options;
    const credentials = user ? `${encodeURIComponent(user.name)}:${encodeURIComponent(user.password)}@` : '';
    return `nats://${credentials}127.0.0.1:${this.port}`;
  }

  /** SIGKILL. The data stay. */
  async kill(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    await new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
      child.kill('SIGKILL');
    });
  }

  /** Kills it and starts it again on the same data and port. */
  async restart(): Promise<void> {
    await this.kill();
    await this.launch();
  }

  /** The server hangs: its sockets stay open and say nothing. */
  async suspend(): Promise<void> {
    if (this.child?.pid) await suspendProcess(this.child.pid);
  }

  resume(): void {
    this.child?.kill('SIGCONT');
  }

  /** Further lines of its configuration take effect while it runs. */
  async reload(conf: readonly string[]): Promise<void> {
    this.configure(conf);
    const before = readFileSync(this.logFile, 'utf8').length;
    this.child?.kill('SIGHUP');
    const deadline = Date.now() + 20_000;
    while (!readFileSync(this.logFile, 'utf8').slice(before).includes('Reloaded server configuration')) {
      if (Date.now() > deadline) throw new Error(`NATS ${this.version} did not reload its configuration`);
      await pause(5);
    }
  }

  /** Kills it and removes its data. */
  async stop(): Promise<void> {
    await this.kill();
    await rm(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }

  private configure(more: readonly string[] = []): void {
    const { user, conf = [], jetstream = true } = this.options;
    const lines = [
      `listen: "127.0.0.1:${this.port}"`,
      ...(jetstream ? [`jetstream: { store_dir: ${JSON.stringify(join(this.directory, 'data'))} }`] : []),
      ...(user
        ? [`authorization: { user: ${JSON.stringify(user.name)}, password: ${JSON.stringify(user.password)} }`]
        : []),
      ...conf,
      ...more,
    ];
    writeFileSync(join(this.directory, 'nats.conf'), `${lines.join('\n')}\n`);
  }

  private async launch(): Promise<void> {
    const output = openSync(this.logFile, 'a');
    const command = ['--pdeathsig', 'KILL', this.program, '--config', join(this.directory, 'nats.conf')];
    const child = spawn('setpriv', command, { stdio: ['ignore', output, output] });
    closeSync(output);
    this.child = child;
    const deadline = Date.now() + 20_000;
    // It listens before JetStream is there, and says so then.
    while (!(await this.isReady())) {
      if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
        const log = readFileSync(this.logFile, 'utf8').trim().split('\n').slice(-15).join('\n');
        await this.stop();
        throw new Error(`NATS ${this.version} did not start:\n${log}`);
      }
      await pause(5);
    }
  }

  private isReady(): Promise<boolean> {
    const { jetstream = true } = this.options;
    return serverInfo(this.port).then(
      (info) => !jetstream || info.jetstream === true,
      () => false,
    );
  }

  private get logFile(): string {
    return join(this.directory, 'output.log');
  }
}
