import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface RabbitPorts {
  amqp: number;
  distribution: number;
  epmd: number;
  tls?: number;
  management?: number;
}

export interface RabbitConfiguration {
  name: string;
  cookie: string;
  ports: RabbitPorts;
  plugins: readonly string[];
  /** Further lines of rabbitmq.conf. */
  conf: readonly string[];
}

export const memoryLimit = '512MB';
export const diskLimit = '50MB';

/** Writes what a node reads at its start. The folder is /data to the node. */
export function writeConfiguration(directory: string, { cookie, ports, plugins, conf }: RabbitConfiguration): void {
  for (const folder of ['home', 'config']) mkdirSync(join(directory, folder));
  writeFileSync(join(directory, 'home/.erlang.cookie'), cookie, { mode: 0o400 });
  writeFileSync(join(directory, 'enabled_plugins'), `[${plugins.join(',')}].\n`);
  const lines = [
    `listeners.tcp.1 = 127.0.0.1:${ports.amqp}`,
    `disk_free_limit.absolute = ${diskLimit}`,
    `vm_memory_high_watermark.absolute = ${memoryLimit}`,
    ...(ports.tls === undefined ? [] : tlsLines(ports.tls)),
    ...(ports.management === undefined ? [] : managementLines(ports.management)),
    ...conf,
  ];
  writeFileSync(join(directory, 'rabbitmq.conf'), lines.map((line) => `${line}\n`).join(''));
}

function tlsLines(port: number): string[] {
  return [
    `listeners.ssl.1 = 127.0.0.1:${port}`,
    'ssl_options.cacertfile = /data/certificate.pem',
    'ssl_options.certfile = /data/certificate.pem',
    'ssl_options.keyfile = /data/key.pem',
    'ssl_options.verify = verify_none',
    'ssl_options.fail_if_no_peer_cert = false',
  ];
}

function managementLines(port: number): string[] {
  return ['management.tcp.ip = 127.0.0.1', `management.tcp.port = ${port}`];
}

export function environment({ name, ports }: RabbitConfiguration): Record<string, string> {
  return {
    HOME: '/data/home',
    ERL_EPMD_PORT: String(ports.epmd),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_CRASH_DUMP_SECONDS: '0',
    RABBITMQ_NODENAME: `${name}@localhost`,
    RABBITMQ_NODE_PORT: String(ports.amqp),
    RABBITMQ_DIST_PORT: String(ports.distribution),
    RABBITMQ_MNESIA_BASE: '/data/mnesia',
    RABBITMQ_LOG_BASE: '/data/log',
    RABBITMQ_PID_FILE: '/data/pid',
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_CONFIG_FILE: '/data/rabbitmq.conf',
    RABBITMQ_ENABLED_PLUGINS_FILE: '/data/enabled_plugins',
    RABBITMQ_GENERATED_CONFIG_DIR: '/data/config',
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1} +S 2:2',
    RUNNING_UNDER_SYSTEMD: 'true', // the script becomes the node instead of waiting for it
  };
}
