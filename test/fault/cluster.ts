import { type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { spawnInRoot } from '../brokers/chroot.js';
import { freePorts } from '../brokers/free-ports.js';
import { environment, type RabbitConfiguration, writeConfiguration } from '../brokers/rabbitmq/configuration.js';
import { RabbitHandle } from '../brokers/rabbitmq/handle.js';
import { type InstalledRabbit, installRabbit, type RabbitVersion } from '../brokers/rabbitmq/install.js';
import { newDirectory } from '../brokers/run-directory.js';
import { waitFor } from '../brokers/wait-for.js';

const SIZE = 3;

/** Three RabbitMQ nodes of this process alone. */
export class Cluster {
  private constructor(
    readonly members: readonly Member[],
    private readonly epmd: ChildProcess,
  ) {}

  static async start(version: RabbitVersion): Promise<Cluster> {
    const installed = await installRabbit(version);
    const [epmdPort, ...ports] = await freePorts(1 + 2 * SIZE);
    const cookie = randomBytes(16).toString('hex');
    const members = Array.from({ length: SIZE }, (_, n) => {
      const [amqp, distribution] = ports.slice(2 * n);
      const name = `rabbit-${amqp}`;
      return new Member(installed, {
        name,
        cookie,
        ports: { amqp, distribution, epmd: epmdPort },
        plugins: [],
        conf: [],
      });
    });
    const epmd = members[0].spawnEpmd();
    const cluster = new Cluster(members, epmd);
    try {
      await new Promise((resolve) => setImmediate(resolve));
      for (const member of members) member.spawn();
      for (const member of members) await member.ready();
      for (const member of members.slice(1)) await waitFor(() => member.join(members[0]), 'a node to join', 60_000);
      await waitFor(() => cluster.isComplete(), 'the nodes to join', 60_000);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  get running(): readonly Member[] {
    return this.members.filter(({ isRunning }) => isRunning);
  }

  urls(vhost: string): string[] {
    return this.members.map((member) => member.url(vhost));
  }

  /** The member that leads a quorum queue now. */
  async leaderOf(vhost: string, queue: string): Promise<Member> {
    const found = await this.running[0].eval(
      `{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"${vhost}">>, queue, <<"${queue}">>)), rabbit_amqqueue:info(Q, [leader])`,
    );
    const leader = this.members.find(({ name }) => found.includes(`${name}@`));
    if (!leader) throw new Error(`The leader of «${queue}» is ${found}`);
    return leader;
  }

  async isComplete(): Promise<boolean> {
    const list = 'try rabbit_nodes:list_running() catch error:undef -> rabbit_nodes:all_running() end';
    const seen = await this.running[0].eval(`length(${list})`).catch(() => '');
    return seen === `{ok, ${SIZE}}` && this.running.length === SIZE;
  }

  /** Every queue of the vhost has a copy on each member. */
  async isReplicated(vhost: string): Promise<boolean> {
    const lacking = await this.running[0].eval(
      `length([Q || Q <- rabbit_amqqueue:list(<<"${vhost}">>),
        [{online, Nodes}] <- [rabbit_amqqueue:info(Q, [online])], length(Nodes) < ${SIZE}])`,
    );
    return lacking === '{ok, 0}';
  }

  async stop(): Promise<void> {
    for (const member of this.members) await member.kill();
    this.epmd.kill('SIGKILL');
    for (const member of this.members) await member.remove();
  }
}

/** One node of a cluster. */
export class Member extends RabbitHandle {
  private server?: ChildProcess;

  constructor(
    { version, root }: InstalledRabbit,
    private readonly configuration: RabbitConfiguration,
  ) {
    const directory = newDirectory(`rabbitmq-${version}`);
    super({ version, pid: 0, root, directory, cookie: configuration.cookie, ports: configuration.ports });
    writeConfiguration(directory, configuration);
  }

  get name(): string {
    return this.configuration.name;
  }

  get isRunning(): boolean {
    return this.server !== undefined && this.server.exitCode === null && this.server.signalCode === null;
  }

  spawnEpmd(): ChildProcess {
    return this.launch('/usr/bin/epmd', '-port', String(this.configuration.ports.epmd), '-address', '127.0.0.1');
  }

  spawn(): void {
    this.server = this.launch('/usr/lib/rabbitmq/bin/rabbitmq-server');
    this.description.pid = this.server.pid ?? 0;
  }

  /** Forgets what it has and becomes a member of the other's cluster. False: to be tried again. */
  async join(other: Member): Promise<boolean> {
    const result = await this.eval(
      `rabbit:stop(),
       Joined = case code:ensure_loaded(rabbit_db_cluster) of
         {module, Module} -> Module:join('${other.name}@localhost', disc);
         _ -> rabbit_mnesia:join_cluster('${other.name}@localhost', disc)
       end,
       rabbit:start(),
       Joined`,
    ).catch(String);
    return result === '{ok, ok}' || result.includes('already_member');
  }

  /** SIGKILL. The data stay. */
  async kill(): Promise<void> {
    if (!this.server || !this.isRunning) return;
    await this.eval('[dets:sync(Table) || Table <- dets:all()]').catch(() => undefined);
    const gone = once(this.server, 'exit');
    this.server.kill('SIGKILL');
    await gone;
  }

  async remove(): Promise<void> {
    await rm(this.description.directory, { recursive: true, force: true, maxRetries: 3 });
  }

  private launch(...command: string[]): ChildProcess {
    const { root, directory } = this.description;
    return spawnInRoot({
      root,
      directory,
      log: join(directory, 'output.log'),
      command,
      env: environment(this.configuration),
    });
  }
}
