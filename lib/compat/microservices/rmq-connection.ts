import type { RmqOptions as NestRmqOptions } from '@nestjs/microservices';
import { UnsupportedError } from '../../errors/configuration-errors.js';
import type { RabbitmqOptions } from '../../transports/rabbitmq/options.js';
import type { ReconnectPolicy } from '../../transport/transport.js';

/** The `options` of Nest's `Transport.RMQ`. */
export type RmqOptions = NonNullable<NestRmqOptions['options']>;

type RmqUrl = Exclude<NonNullable<RmqOptions['urls']>[number], string>;

/** Nest's addresses, as texts. @throws UnsupportedError for what an address here cannot say */
export function addressesOf(urls: RmqOptions['urls']): Pick<RabbitmqOptions, 'urls'> {
  if (urls === undefined || urls.length === 0) return {};
  return { urls: urls.map((url: string | RmqUrl) => (typeof url === 'string' ? url : addressOf(url))) };
}

function addressOf({
  protocol = 'amqp',
  hostname = 'localhost',
  port,
  username,
  password,
  vhost,
  heartbeat,
  ...rest
}: RmqUrl): string {
  for (const [name, value] of Object.entries(rest))
    if (value !== undefined) throw refused(`urls[].${name}`, 'leave it out: the broker decides it');
  const user = username === undefined ? '' : `${encodeURIComponent(username)}:${encodeURIComponent(password ?? '')}@`;
  const path = vhost === undefined || vhost === '/' ? '' : `/${encodeURIComponent(vhost)}`;
  const query = heartbeat === undefined ? '' : `?heartbeat=${heartbeat}`;
  return `${protocol.replace(/:$/, '')}://${user}${hostname}${port === undefined ? '' : `:${port}`}${path}${query}`;
}

/** Options of amqplib's sockets that are not those of TLS. */
const SOCKET = ['noDelay', 'keepAlive', 'keepAliveDelay', 'credentials'];

interface Connected {
  readonly rabbitmq: RabbitmqOptions;
  readonly reconnect?: Partial<ReconnectPolicy>;
}

/** @throws UnsupportedError for what has no counterpart */
export function socketOf(
  options: RmqOptions['socketOptions'] = {},
  differs: (option: string, difference: string) => void,
): Connected {
  const {
    reconnectTimeInSeconds,
    heartbeatIntervalInSeconds,
    connectionOptions = {},
    clientProperties,
    findServers,
    ...rest
  } = options;
  if (findServers !== undefined) throw refused('socketOptions.findServers', 'give every node in «urls»');
  for (const [name, value] of Object.entries(rest))
    if (value !== undefined)
      throw refused(`socketOptions.${name}`, 'leave it out, or see the options «tls» and «socket» of rabbitmq()');
  const { timeout, clientProperties: inner, ...others } = connectionOptions as Record<string, unknown>;
  const properties = { ...(inner as object), ...clientProperties } as Record<string, unknown>;
  const { connection_name, connectionName = connection_name, ...more } = properties;
  if (Object.keys(more).length > 0)
    differs(
      'socketOptions.clientProperties',
      `only the connection's name is told to the broker, not ${Object.keys(more).join(', ')}`,
    );
  const entries = Object.entries(others).filter(([, value]) => value !== undefined);
  const socket = entries.filter(([name]) => SOCKET.includes(name));
  const tls = entries.filter(([name]) => !SOCKET.includes(name));
  const initial = reconnectTimeInSeconds === undefined ? undefined : reconnectTimeInSeconds * 1_000;
  if (initial !== undefined)
    differs(
      'socketOptions.reconnectTimeInSeconds',
      'it is the first pause between attempts; later ones grow, up to 30 s',
    );
  return {
    rabbitmq: {
      ...(heartbeatIntervalInSeconds !== undefined && { heartbeat: heartbeatIntervalInSeconds }),
      ...(typeof timeout === 'number' && { connectTimeout: timeout }),
      ...(typeof connectionName === 'string' && { connectionName }),
      ...(socket.length > 0 && { socket: Object.fromEntries(socket) }),
      ...(tls.length > 0 && { tls: Object.fromEntries(tls) }),
    },
    ...(initial !== undefined && { reconnect: { initial, max: Math.max(initial, 30_000) } }),
  };
}

function refused(option: string, remedy: string): UnsupportedError {
  return new UnsupportedError(`RmqOptions.${option} has no counterpart here: ${remedy}`);
}
