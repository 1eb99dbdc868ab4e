import { randomUUID } from 'node:crypto';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { spawnInRoot } from '../chroot.js';
import { freePorts } from '../free-ports.js';
import { newDirectory } from '../run-directory.js';
import { ServerProcess } from '../server-process.js';
import { waitFor } from '../wait-for.js';
import type { AvailableRedis } from './availability.js';

export interface RedisServerOptions {
  /** Of the user `default`. */
  readonly password?: string;
  /** Settings beside the usual ones; `appendonly yes` and `appendfsync always` where they do not say otherwise. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Where its data are; made here, and removed with the server. */
  readonly directory?: string;
  /** Its clock can be stepped, where the library for that is there. */
  readonly steps?: boolean;
}

/** In its directory: how far its clock is off. */
const CLOCK = 'clock';
const FAKETIME = 'libfaketime.so.1';

/** The clock is read again each second. With the allocator of libc: that of Redis asks for the time before the library can tell it. */
const FAKED_TIME = {
  LD_PRELOAD: `/data/${FAKETIME} /lib/x86_64-linux-gnu/libc.so.6`,
  FAKETIME_TIMESTAMP_FILE: `/data/${CLOCK}`,
  FAKETIME_CACHE_DURATION: '1',
  FAKETIME_DONT_FAKE_MONOTONIC: '1',
};

export class RedisServer extends ServerProcess {
  private readonly password: string;

  private constructor(
    readonly installed: AvailableRedis,
    readonly port: number,
    directory: string,
    private readonly options: RedisServerOptions,
  ) {
    super(directory);
    this.password = options.password ?? `test-${randomUUID()}`;
  }

  static async start(installed: AvailableRedis, options: RedisServerOptions = {}): Promise<RedisServer> {
    const [port] = await freePorts(1);
    const { directory = newDirectory(`${installed.title.toLowerCase()}-${installed.version}`) } = options;
    mkdirSync(directory, { recursive: true });
    if (options.steps) copyFileSync(installed.faketime!, join(directory, FAKETIME));
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

  /** Its wall clock is so many milliseconds off from now on, those of its timers go on. Only with `steps`. */
  async stepClock(ms: number): Promise<void> {
    writeFileSync(join(this.directory, CLOCK), `${ms < 0 ? '-' : '+'}${Math.abs(ms) / 1_000}`);
    await waitFor(async () => {
      const [seconds] = await this.command<string[]>('time');
      return Math.abs(Number(seconds) * 1_000 - (Date.now() + ms)) < 5_000;
    }, 'the step of the clock');
  }

  protected async launch(): Promise<void> {
    const { settings, steps } = this.options;
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
    const { root, program, title, version } = this.installed;
    const child = spawnInRoot({
      root: root!,
      env: { LC_ALL: 'C', ...(steps && FAKED_TIME) },
      directory: this.directory,
      log: this.logFile,
      command: [program!, '/data/redis.conf'],
    });
    await this.answers(child, () => this.isReady(), { name: `${title} ${version}`, withinMs: 30_000, everyMs: 5 });
  }

  private isReady(): Promise<boolean> {
    return this.command('ping').then(
      () => true,
      () => false,
    );
  }
}
