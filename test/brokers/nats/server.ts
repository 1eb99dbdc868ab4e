import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePorts } from '../free-ports.js';
import { newDirectory } from '../run-directory.js';
import { ServerProcess } from '../server-process.js';
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

export class NatsServer extends ServerProcess {
  private constructor(
    readonly version: string,
    readonly port: number,
    private readonly program: string,
    directory: string,
    private readonly options: NatsServerOptions,
  ) {
    super(directory);
  }

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

  protected async launch(): Promise<void> {
    const output = openSync(this.logFile, 'a');
    const command = ['--pdeathsig', 'KILL', this.program, '--config', join(this.directory, 'nats.conf')];
    const child = spawn('setpriv', command, { stdio: ['ignore', output, output] });
    closeSync(output);
    // It listens before JetStream is there, and says so then.
    await this.answers(child, () => this.isReady(), { name: `NATS ${this.version}`, withinMs: 20_000, everyMs: 5 });
  }

  private isReady(): Promise<boolean> {
    const { jetstream = true } = this.options;
    return serverInfo(this.port).then(
      (info) => !jetstream || info.jetstream === true,
      () => false,
    );
  }
}
