import type { ChannelModel } from 'amqplib';
import { loadAmqplib } from './amqplib.js';
import { percentDecoded, redactor } from '../../kit/redactor.js';

/** One node of the broker. The credentials live in the closures only, so that no inspected object shows them. */
export interface Address {
  /** `host:port/vhost`. */
  readonly host: string;
  readonly vhost: string;
  /** By TLS. */
  readonly secure: boolean;
  /** Connects; rejects with amqplib's raw error. */
  open(connectionName: string): Promise<ChannelModel>;
  /** Takes the credentials out of a text. */
  redact(text: string): string;
}

export interface AddressDefaults {
  readonly vhost?: string;
  readonly heartbeat?: number;
  readonly defaultHeartbeat: number;
  readonly timeout: number;
  readonly socket: Record<string, unknown>;
  readonly tls: Record<string, unknown>;
}

export function parseAddress(text: string, defaults: AddressDefaults): Address {
  const url = new URL(text);
  const secure = url.protocol === 'amqps:';
  const port = url.port === '' ? (secure ? 5671 : 5672) : Number(url.port);
  const hostname = url.hostname.replace(/^\[|\]$/g, '') || 'localhost';
  const vhost = defaults.vhost ?? (percentDecoded(url.pathname.slice(1)) || '/');
  const anonymous = url.username === '' && url.password === '';
  const username = anonymous ? 'guest' : percentDecoded(url.username);
  const password = anonymous ? 'guest' : percentDecoded(url.password);
  const redact = redactor(anonymous ? [] : [password, url.password]);
  const target = {
    protocol: secure ? 'amqps' : 'amqp',
    hostname,
    port,
    username,
    password,
    vhost: encodeURIComponent(vhost),
    heartbeat: defaults.heartbeat ?? queryNumber(url, 'heartbeat') ?? defaults.defaultHeartbeat,
    frameMax: queryNumber(url, 'frameMax'),
    channelMax: queryNumber(url, 'channelMax'),
  };
  return {
    host: `${url.hostname || 'localhost'}:${port}/${vhost === '/' ? '' : vhost}`,
    vhost,
    secure,
    redact,
    open: async (connectionName) => {
      const { connect } = await loadAmqplib();
      return connect(target, {
        ...defaults.socket,
        ...(secure ? defaults.tls : {}),
        timeout: defaults.timeout,
        clientProperties: { connection_name: connectionName },
      });
    },
  };
}

function queryNumber(url: URL, name: string): number | undefined {
  const value = url.searchParams.get(name);
  return value !== null && /^\d{1,9}$/.test(value) ? Number(value) : undefined;
}
