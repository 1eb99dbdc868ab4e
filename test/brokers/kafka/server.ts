import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from '../free-ports.js';
import { newDirectory } from '../run-directory.js';
import { runCommand } from '../run-command.js';
import { ServerProcess } from '../server-process.js';

const READY_WITHIN_MS = 90_000;
const java = ['-Xmx384m', '-Xms64m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];

/** Of a file that nobody else can read, and that is gone with the node. */
const PASS = 'unguarded';
const STARTED = 'Kafka Server started';
const logging = ['defaultLogLevel=warn', 'log.kafka.server.KafkaRaftServer=info'].map(
  (level) => `-Dorg.slf4j.simpleLogger.${level}`,
);

export interface KafkaServerOptions {
  /** What clients are told to connect to, as where a proxy stands in between: `host:port`. Default: the server itself. */
  readonly advertised?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** Who may log in, by SASL PLAIN or SCRAM-SHA-512. Default: everybody, without a password. */
  readonly user?: { readonly name: string; readonly password: string; readonly scram?: boolean };
  /** Clients connect by TLS, with `certificate` as the authority. */
  readonly tls?: boolean;
  /** Users may do what they are allowed to; `innerUrl` may do everything. */
  readonly authorizes?: boolean;
  /** One of several nodes, each broker and controller. */
  readonly member?: { readonly id: number; readonly controllers: readonly number[] };
  /** Further lines of server.properties. */
  readonly properties?: readonly string[];
}

/** One node, broker and controller in one (KRaft). */
export class KafkaServer extends ServerProcess {
  private constructor(
    readonly port: number,
    private readonly ownPorts: readonly number[],
    private readonly jars: string,
    directory: string,
    private readonly options: KafkaServerOptions,
  ) {
    super(directory);
  }

  static async start(jars: string, options: KafkaServerOptions = {}): Promise<KafkaServer> {
    const [first, ...ownPorts] = await freePorts(3);
    const { member } = options;
    if (member) ownPorts[1] = member.controllers[member.id - 1];
    const server = new KafkaServer(options.port ?? first, ownPorts, jars, newDirectory('kafka'), options);
    server.configure();
    if (options.tls) await server.makeKeys();
    await runCommand(
      'java',
      server.command('kafka.tools.StorageTool', [
        'format',
        '-t',
        'bmVzdGpzLW1lc3NhZ2luZw',
        '-c',
        server.file,
        ...server.scram,
      ]),
    );
    await server.launch();
    return server;
  }

  /** `host:port` */
  get url(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** `host:port` for whoever administers it: no password, no proxy. */
  get innerUrl(): string {
    return `127.0.0.1:${this.ownPorts[0]}`;
  }

  /** PEM */
  certificate(): Promise<string> {
    return runCommand('keytool', ['-exportcert', '-rfc', '-alias', 'own', '-keystore', this.keys, '-storepass', PASS]);
  }

  /** By the JRE itself, for localhost. */
  private async makeKeys(): Promise<void> {
    const names = ['-dname', 'CN=localhost', '-ext', 'san=dns:localhost,ip:127.0.0.1'];
    const store = ['-storetype', 'PKCS12', '-keystore', this.keys, '-storepass', PASS];
    await runCommand('keytool', [
      '-genkeypair',
      '-keyalg',
      'EC',
      '-alias',
      'own',
      '-validity',
      '2',
      ...names,
      ...store,
    ]);
  }

  private get keys(): string {
    return join(this.directory, 'keys.p12');
  }

  private get scram(): string[] {
    const { user } = this.options;
    return user?.scram ? ['--add-scram', `SCRAM-SHA-512=[name=${user.name},password=${user.password}]`] : [];
  }

  private get file(): string {
    return join(this.directory, 'server.properties');
  }

  private command(main: string, args: readonly string[]): string[] {
    return [...java, ...logging, '-cp', join(this.jars, '*'), main, ...args];
  }

  /** How often it has said that it is there. */
  private get starts(): number {
    return existsSync(this.logFile) ? readFileSync(this.logFile, 'utf8').split(STARTED).length - 1 : 0;
  }

  private configure(): void {
    const { advertised = this.url, user, tls, authorizes, properties = [] } = this.options;
    const protocol = `${user ? 'SASL_' : ''}${tls ? 'SSL' : 'PLAINTEXT'}`;
    const [inner, controller] = this.ownPorts.map((port) => `127.0.0.1:${port}`);
    const { member = { id: 1, controllers: [this.ownPorts[1]] } } = this.options;
    const copies = member.controllers.length;
    const login = 'org.apache.kafka.common.security.plain.PlainLoginModule required';
    const lines = [
      'process.roles=broker,controller',
      `node.id=${member.id}`,
      `listeners=CLIENTS://${this.url},INNER://${inner},CONTROLLER://${controller}`,
      `advertised.listeners=CLIENTS://${advertised},INNER://${inner}`,
      'inter.broker.listener.name=INNER',
      'controller.listener.names=CONTROLLER',
      `listener.security.protocol.map=CLIENTS:${protocol},INNER:PLAINTEXT,CONTROLLER:PLAINTEXT`,
      `controller.quorum.voters=${member.controllers.map((port, at) => `${at + 1}@127.0.0.1:${port}`).join()}`,
      ...(user
        ? [
            `sasl.enabled.mechanisms=${user.scram ? 'SCRAM-SHA-512' : 'PLAIN'}`,
            user.scram
              ? 'listener.name.clients.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;'
              : `listener.name.clients.plain.sasl.jaas.config=${login} user_${user.name}="${user.password}";`,
          ]
        : []),
      ...(tls
        ? ['type=PKCS12', `location=${this.keys}`, `password=${PASS}`].map((line) => `ssl.keystore.${line}`)
        : []),
      ...(authorizes
        ? [
            'authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer',
            'super.users=User:ANONYMOUS',
          ]
        : []),
      `log.dirs=${join(this.directory, 'data')}`,
      ...['offsets.topic', 'transaction.state.log', 'share.coordinator.state.topic'].map(
        (log) => `${log}.replication.factor=${copies}`,
      ),
      ...['transaction.state.log', 'share.coordinator.state.topic'].map((log) => `${log}.min.isr=1`),
      ...['offsets.topic', 'transaction.state.log', 'share.coordinator.state.topic'].map(
        (log) => `${log}.num.partitions=1`,
      ),
      'group.initial.rebalance.delay.ms=0',
      'group.min.session.timeout.ms=1000',
      // A node that was killed is let in again once its former self has been silent for so long.
      'broker.session.timeout.ms=1000',
      'broker.heartbeat.interval.ms=200',
      'auto.create.topics.enable=false',
      'log.cleaner.enable=false',
      ...properties,
    ];
    writeFileSync(this.file, `${lines.join('\n')}\n`, { mode: 0o600 });
  }

  protected async launch(): Promise<void> {
    const starts = this.starts;
    const output = openSync(this.logFile, 'a');
    const command = ['--pdeathsig', 'KILL', 'java', ...this.command('kafka.Kafka', [this.file])];
    const child = spawn('setpriv', command, { stdio: ['ignore', output, output] });
    closeSync(output);
    const isReady = (): boolean => this.starts > starts;
    await this.answers(child, isReady, { name: 'Kafka', withinMs: READY_WITHIN_MS, everyMs: 50 });
  }
}
