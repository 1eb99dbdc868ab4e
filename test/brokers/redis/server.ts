import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { spawnInRoot } from '../chroot.js';
import { freePorts } from '../free-ports.js';
import { newDirectory } from '../run-directory.js';
import { suspendProcess } from '../suspend.js';
import type { AvailableRedis } from './availability.js';

export interface RedisServerOptions {
  /** Of the user `default`. */
  readonly password?: string;
  /** Settings beside the usual ones; `appendonly yes` and `appendfsync always` where they do not say otherwise. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A server of this process alone: it can be killed, stopped for a while and started again on its data. */
export class RedisServer {
  private child?: ChildProcess;
  private readonly password: string;

  private constructor(
    readonly installed: AvailableRedis,
    readonly port: number,
    private readonly directory: string,
    private readonly options: RedisServerOptions,
  ) {
    this.password = options.password ?? `test-${randomUUID()}`;
  }

  static async start(installed: AvailableRedis, options: RedisServerOptions = {}): Promise<RedisServer> {
    const [port] = await freePorts(1);
    const directory = newDirectory(`${installed.title.toLowerCase()}-${installed.version}`);
    const server = new RedisServer(installed, port, directory, options);
    await server.launch();
    return server;
  }

  get url(): string {
    return this.urlOf('default', this.password);
  }

  urlOf(user: string, password: string): string {
    return `redis://${user}:${encodeURIComponent(password)}@127.0.0.1:${this.port}/0`;
  }

  /** A plain client with all rights; the caller ends it. */
  client(): Redis {
    const client = new Redis(this.url, { maxRetriesPerRequest: 0, retryStrategy: () => 50 });
    client.on('error', () => undefined);
    return client;
  }

  /** Sends one command, on a connection of its own. */
  async command<T = unknown>(name: string, ...values: (string | number)[]): Promise<T> {
    const client = new Redis(this.url, { lazyConnect: true, retryStrategy: () => null });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return (await client.call(name.toLowerCase(), ...values)) as T;
    } finally {
      client.disconnect();
    }
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

  private async launch(): Promise<void> {
    const { settings } = this.options;
    const all = {
      port: String(this.port),
      bind: '127.0.0.1',
      dir: '/data',
      requirepass: this.password,
      masterauth: this.password,
      save: '""',
      appendonly: 'yes',
      appendfsync: 'always',
      ...settings,
    };
    const lines = Object.entries(all).map(([name, value]) => `${name} ${value}\n`);
    writeFileSync(join(this.directory, 'redis.conf'), lines.join(''));
    const { root, program } = this.installed;
    const { directory } = this;
    const log = join(directory, 'output.log');
    const child = spawnInRoot({
      root: root!,
      env: { LC_ALL: 'C' },
      directory,
      log,
      command: [program!, '/data/redis.conf'],
    });
    this.child = child;
    const deadline = Date.now() + 30_000;
    while (!(await this.isReady())) {
      if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
        const said = readFileSync(log, 'utf8').trim().split('\n').slice(-15).join('\n');
        throw new Error(`${this.installed.title} ${this.installed.version} did not start:\n${said}`);
      }
      await pause(5);
    }
  }

  private isReady(): Promise<boolean> {
    return this.command('ping').then(
      () => true,
      () => false,
    );
  }
}
