import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chownSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Client } from 'pg';
import { spawnInRoot } from '../chroot.js';
import { freePorts } from '../free-ports.js';
import { newDirectory } from '../run-directory.js';
import { isRunning, killed, lastLines, ServerProcess } from '../server-process.js';
import { suspendProcess } from '../suspend.js';

/** `nobody`: neither program runs as root. */
const USER = 65_534;

export interface PostgresServerOptions {
  /** Of the superuser `postgres`. */
  readonly password?: string;
  /** Further lines of postgresql.conf. */
  readonly conf?: readonly string[];
  /** Its data are within this folder. */
  readonly within?: string;
}

export class PostgresServer extends ServerProcess {
  private readonly password: string;

  private constructor(
    readonly version: string,
    readonly port: number,
    private readonly root: string,
    directory: string,
    private readonly options: PostgresServerOptions,
  ) {
    super(directory);
    this.password = options.password ?? `test-${randomUUID()}`;
  }

  static async start(version: string, root: string, options: PostgresServerOptions = {}): Promise<PostgresServer> {
    const [port] = await freePorts(1);
    const server = new PostgresServer(
      version,
      port,
      root,
      newDirectory(`postgres-${version}`, options.within),
      options,
    );
    await server.initialize();
    await server.launch();
    return server;
  }

  url(database = 'postgres', { port = this.port, user = 'postgres' } = {}): string {
    return `postgres://${user}:${encodeURIComponent(this.password)}@127.0.0.1:${port}/${database}`;
  }

  /** Makes a new database and gives its URL. */
  async createDatabase(): Promise<string> {
    const name = `test_${randomUUID().replaceAll('-', '')}`;
    await this.query(`create database ${name}`);
    return this.url(name);
  }

  /** Runs one statement as the superuser, on a connection of its own. */
  async query<Row extends object>(text: string, values: readonly unknown[] = [], database?: string): Promise<Row[]> {
    const client = new Client({ connectionString: this.url(database) });
    await client.connect();
    try {
      return (await client.query<Row>(text, [...values])).rows;
    } finally {
      await client.end();
    }
  }

  /** Each connection has a process of its own. */
  override async suspend(): Promise<void> {
    for (const pid of this.processes()) await suspendProcess(pid);
  }

  override resume(): void {
    for (const pid of this.processes()) process.kill(pid, 'SIGCONT');
  }

  /** PgBouncer in front of it, in transaction mode, on a port of its own. */
  async startPooler(): Promise<{ readonly port: number; stop(): Promise<void> }> {
    const [port] = await freePorts(1);
    const directory = newDirectory('pgbouncer');
    const lines = [
      '[databases]',
      `* = host=127.0.0.1 port=${this.port}`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${port}`,
      'unix_socket_dir =',
      'auth_type = plain',
      'auth_file = /data/users.txt',
      'pool_mode = transaction',
      'default_pool_size = 4',
      'max_client_conn = 200',
    ];
    writeFileSync(join(directory, 'pgbouncer.ini'), `${lines.join('\n')}\n`);
    writeFileSync(join(directory, 'users.txt'), `"postgres" "${this.password}"\n`);
    this.own(directory);
    for (const file of ['pgbouncer.ini', 'users.txt']) chownSync(join(directory, file), USER, USER);
    const child = this.spawn(directory, ['/usr/sbin/pgbouncer', '/data/pgbouncer.ini']);
    await this.answering(child, port, join(directory, 'output.log'));
    return {
      port,
      stop: async () => {
        await killed(child);
        await rm(directory, { recursive: true, force: true, maxRetries: 3 });
      },
    };
  }

  private async initialize(): Promise<void> {
    const passwords = join(this.directory, 'password');
    writeFileSync(passwords, this.password);
    this.own(this.directory);
    chownSync(passwords, USER, USER);
    const options = [
      '-D',
      '/data/pg',
      '-U',
      'postgres',
      '-E',
      'UTF8',
      '--no-locale',
      '--no-sync',
      '-A',
      'scram-sha-256',
    ];
    const child = this.spawn(this.directory, [this.program('initdb'), ...options, '--pwfile', '/data/password']);
    const code = await new Promise((resolve) => child.once('exit', resolve));
    if (code !== 0)
      throw new Error(`PostgreSQL ${this.version}: initdb ended with ${String(code)}:\n${lastLines(this.logFile)}`);
  }

  protected async launch(): Promise<void> {
    const { conf = [] } = this.options;
    const settings = [
      `port=${this.port}`,
      'listen_addresses=127.0.0.1',
      'unix_socket_directories=',
      'max_connections=200',
      'shared_buffers=64MB',
      ...conf,
    ];
    const command = [this.program('postgres'), '-D', '/data/pg', ...settings.flatMap((one) => ['-c', one])];
    this.child = this.spawn(this.directory, command);
    await this.answering(this.child, this.port, this.logFile);
  }

  private async answering(child: ChildProcess, port: number, log: string): Promise<void> {
    const deadline = Date.now() + 60_000;
    const client = (): Client => new Client({ connectionString: this.url('postgres', { port }) });
    for (;;) {
      const probe = client();
      probe.on('error', () => undefined);
      const answers = await probe.connect().then(
        () => true,
        () => false,
      );
      await probe.end().catch(() => undefined);
      if (answers) return;
      if (!isRunning(child) || Date.now() > deadline)
        throw new Error(`PostgreSQL ${this.version} did not start:\n${lastLines(log)}`);
      await pause(10);
    }
  }

  /** It dies with this process: what is told before the change of the user would be forgotten by it. */
  private spawn(directory: string, command: readonly string[]): ChildProcess {
    const ids = [`--reuid=${USER}`, `--regid=${USER}`, '--clear-groups', '--pdeathsig=KILL'];
    const { root } = this;
    return spawnInRoot({
      root,
      directory,
      log: join(directory, 'output.log'),
      command: ['/usr/bin/setpriv', ...ids, ...command],
      env: { LC_ALL: 'C' },
    });
  }

  private program(name: string): string {
    return `/usr/lib/postgresql/${this.version.split('.')[0]}/bin/${name}`;
  }

  private own(directory: string): void {
    chownSync(directory, USER, USER);
  }

  private processes(): number[] {
    const { pid } = this.child ?? {};
    if (pid === undefined) return [];
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return [pid, ...children.split(' ').filter(Boolean).map(Number)];
  }
}
