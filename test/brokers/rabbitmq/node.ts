import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { spawnInRoot } from '../chroot.js';
import { freePorts } from '../free-ports.js';
import { newDirectory } from '../run-directory.js';
import { isRunning, killed } from '../server-process.js';
import { waitFor } from '../wait-for.js';
import { makeCertificate } from './certificate.js';
import { environment, type RabbitConfiguration, writeConfiguration } from './configuration.js';
import { type RabbitDescription, RabbitHandle } from './handle.js';
import type { InstalledRabbit } from './install.js';

export interface RabbitNodeOptions {
  /** Further lines of rabbitmq.conf. */
  conf?: readonly string[];
  /** With rabbitmq_management, managementUrl() is there. */
  plugins?: readonly string[];
  /** With a self-signed certificate; tlsUrl() is there. */
  tls?: boolean;
}

/** A broker of this process alone: it can be killed and started again. */
export class RabbitNode extends RabbitHandle {
  private server?: ChildProcess;
  private epmd?: ChildProcess;

  private constructor(
    description: RabbitDescription,
    private readonly configuration: RabbitConfiguration,
  ) {
    super(description);
  }

  static async start(installed: InstalledRabbit, options: RabbitNodeOptions = {}): Promise<RabbitNode> {
    const node = await RabbitNode.launch(installed, options);
    await node.readyOrStop();
    return node;
  }

  /** Does not wait until it is ready(). */
  static async launch({ version, root }: InstalledRabbit, options: RabbitNodeOptions = {}): Promise<RabbitNode> {
    const directory = newDirectory(`rabbitmq-${version}`);
    const [amqp, distribution, epmd, tls, management] = await freePorts(5);
    const plugins = options.plugins ?? [];
    const configuration: RabbitConfiguration = {
      name: `rabbit-${amqp}`,
      cookie: randomBytes(16).toString('hex'),
      ports: { amqp, distribution, epmd },
      plugins,
      conf: options.conf ?? [],
    };
    const { cookie, ports } = configuration;
    const description: RabbitDescription = { version, pid: 0, root, directory, cookie, ports };
    if (plugins.includes('rabbitmq_management')) ports.management = management;
    if (options.tls) {
      ports.tls = tls;
      description.certificate = await makeCertificate(root, directory);
    }
    writeConfiguration(directory, configuration);
    const node = new RabbitNode(description, configuration);
    await node.spawnEpmd();
    node.spawnServer();
    return node;
  }

  /** A node that another process started. */
  static attach(description: RabbitDescription): RabbitHandle {
    return new RabbitHandle(description);
  }

  /** SIGKILL. The data stay. */
  async kill(): Promise<void> {
    if (!this.suspended) await this.flushDeclarations();
    await killed(this.server);
    this.suspended = false;
  }

  /** Starts a killed node again, on the same data and ports. */
  async restart(): Promise<void> {
    await this.kill();
    this.spawnServer();
    await this.readyOrStop();
  }

  /** Kills it and removes its data. */
  async stop(): Promise<void> {
    await Promise.all([killed(this.server), killed(this.epmd)]);
    await rm(this.description.directory, { recursive: true, force: true, maxRetries: 3 });
  }

  /**
   * RabbitMQ writes the names of new quorum queues and streams seconds after their declaration. Killed before,
   * it comes back with a queue that answers nobody, its confirmed messages lost: not what tests are about.
   */
  private async flushDeclarations(): Promise<void> {
    await this.eval('[dets:sync(Table) || Table <- dets:all()]').catch(() => undefined);
  }

  private async readyOrStop(): Promise<void> {
    try {
      await this.ready();
      await this.otherListeners();
    } catch (error) {
      const lines = readFileSync(this.logFile, 'utf8').trim().split('\n');
      const errors = lines.filter((line) => line.includes('[error]')).slice(0, 15);
      await this.stop();
      const log = (errors.length > 0 ? errors : lines.slice(-15)).join('\n');
      throw new Error(`${(error as Error).message}:\n${log}`, { cause: error });
    }
  }

  /** 4.3 opens them some time after the first. */
  private async otherListeners(): Promise<void> {
    const { tls, management } = this.description.ports;
    for (const port of [tls, management]) {
      if (port !== undefined) await waitFor(() => accepts(port), `port ${port} of RabbitMQ ${this.version}`, 60_000);
    }
  }

  private spawnServer(): void {
    this.server = this.spawn('/usr/lib/rabbitmq/bin/rabbitmq-server');
    this.description.pid = this.server.pid ?? 0;
  }

  /** Ours and first: else the node starts one that outlives it. */
  private async spawnEpmd(): Promise<void> {
    const { epmd } = this.configuration.ports;
    this.epmd = this.spawn('/usr/bin/epmd', '-port', String(epmd), '-address', '127.0.0.1');
    while (!(await accepts(epmd)) && isRunning(this.epmd)) await pause(5);
  }

  private spawn(...command: string[]): ChildProcess {
    const { root, directory } = this.description;
    return spawnInRoot({ root, directory, log: this.logFile, command, env: environment(this.configuration) });
  }

  private get logFile(): string {
    return join(this.description.directory, 'output.log');
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTcp(port, '127.0.0.1', () => resolve(true));
    socket.on('error', () => resolve(false)).on('connect', () => socket.destroy());
  });
}
