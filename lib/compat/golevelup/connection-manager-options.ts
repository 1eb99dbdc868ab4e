import { InvalidOptionError } from '../../errors/configuration-errors.js';
import { knownKeys } from '../../errors/option-checks.js';
import type { MessagingModuleOptions } from '../../messaging.options.js';
import type { RabbitmqOptions } from '../../transports/rabbitmq/options.js';

type Options = Readonly<Record<string, unknown>>;

const TLS = ['ca', 'cert', 'key', 'pfx', 'passphrase', 'servername', 'rejectUnauthorized', 'minVersion', 'ciphers'];
const SOCKET = ['noDelay', 'keepAlive', 'keepAliveDelay', 'credentials'];

/** `connectionManagerOptions`, as options of the transport. @throws InvalidOptionError for what cannot be kept */
export function connectionOf(options: Options): RabbitmqOptions & Pick<MessagingModuleOptions, 'reconnect'> {
  if (typeof options === 'object' && options !== null && 'findServers' in options)
    throw new InvalidOptionError(
      'config.connectionManagerOptions.findServers',
      options.findServers,
      'left out: list the nodes in «uri», or give the address in forRootAsync',
    );
  knownKeys('config.connectionManagerOptions', options, [
    'heartbeatIntervalInSeconds',
    'reconnectTimeInSeconds',
    'connectionOptions',
  ]);
  const { heartbeatIntervalInSeconds: heartbeat, reconnectTimeInSeconds, connectionOptions = {} } = options;
  const between = Number(reconnectTimeInSeconds) * 1_000;
  return {
    ...(heartbeat !== undefined && { heartbeat: heartbeat as number }),
    ...(reconnectTimeInSeconds !== undefined && { reconnect: { initial: between, max: between } }),
    ...ofConnection(connectionOptions as Options),
  };
}

function ofConnection(options: Options): RabbitmqOptions {
  knownKeys('config.connectionManagerOptions.connectionOptions', options, [
    ...['timeout', 'clientProperties'],
    ...TLS,
    ...SOCKET,
  ]);
  const { timeout, clientProperties = {} } = options as { timeout?: number; clientProperties?: Options };
  knownKeys('config.connectionManagerOptions.connectionOptions.clientProperties', clientProperties, [
    'connection_name',
  ]);
  const name = clientProperties.connection_name as string | undefined;
  const taken = (names: readonly string[]): Options | undefined => {
    const given = Object.entries(options).filter(([option]) => names.includes(option));
    return given.length > 0 ? Object.fromEntries(given) : undefined;
  };
  const [tls, socket] = [taken(TLS), taken(SOCKET)];
  return {
    ...(timeout !== undefined && { connectTimeout: timeout }),
    ...(name !== undefined && { connectionName: name }),
    ...(tls && { tls }),
    ...(socket && { socket }),
  };
}
