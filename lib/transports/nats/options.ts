import type { NatsConnection, NodeConnectionOptions } from '@nats-io/transport-node';
import { InvalidOptionError } from '../../errors/configuration-errors.js';
import { checkBoolean, integerBetween, knownKeys, oneOf, refuseUndefined } from '../../errors/option-checks.js';
import { addressOf, serverUrls, type Address } from './connection/address.js';

/** Options of `nats({…})`. */
export interface NatsOptions {
  /** `nats://host:4222`, `nats://user:password@host`, `tls://…`, or several servers of one cluster. Default `nats://localhost:4222`. */
  readonly servers?: string | readonly string[];
  /**
   * JetStream stream that everything is kept in, and default topic: the route `order.created` is the subject
   * `<stream>.order.created`. Letters, digits, `-` and `_`, not beginning with `_`. Default `events`.
   */
  readonly stream?: string;
  /** Path of a `.creds` file (JWT and seed), read again at every connect. */
  readonly credentials?: string;
  /** Further options of `connect` of the client: `user`, `pass`, `token`, `authenticator`, `tls`, `pingInterval`, …. Reconnecting is this package's. */
  readonly options?: Readonly<Omit<NodeConnectionOptions, 'servers' | 'reconnect'>>;
  /** A connection that is there already, with a client's own reconnecting; it is not closed. Instead of `servers`, `credentials` and `options`. */
  readonly client?: NatsConnection;
  /** Copies of the stream in a cluster, 1 to 5. Default 1. An existing stream is left as it is. */
  readonly replicas?: number;
  /** Where a new stream is kept. Default `file`; `memory` does not survive the server. */
  readonly storage?: 'file' | 'memory';
  /**
   * The servers run with `sync_interval: always`, so that an acknowledgement means «on disk». It is not known from
   * outside; false (default) warns once at start, unless the stream has replicas.
   */
  readonly syncAlways?: boolean;
  /**
   * Milliseconds after which a message of a process that died is delivered again. While the process lives this is
   * renewed by itself; a handler that blocks the event loop for longer loses its message. Default 30,000.
   */
  readonly ackWait?: number;
  /** The largest body in bytes that is sent. Default 1,000,000; the server's `max_payload` (1 MiB) counts headers as well, and 4 KiB stay free for copies. */
  readonly maxBytes?: number;
}

declare module '../../transport/broker-options.js' {
  interface BrokerOptions {
    /** Options of NATS for this queue: there are none yet. */
    readonly nats?: NatsSubscriptionOptions;
  }
}

/** What `nats: {…}` of a subscription takes: nothing yet, so that a typing error is not ignored. */
export type NatsSubscriptionOptions = Readonly<Record<string, never>>;

/** The options, checked and complete. Holds no credentials: they stay inside the closures of `address`. */
export interface Settings {
  readonly address: Address;
  readonly stream: string;
  readonly replicas: number;
  readonly storage: 'file' | 'memory';
  readonly syncAlways: boolean;
  readonly ackWait: number;
  readonly maxBytes: number;
}

const KNOWN: readonly (keyof NatsOptions)[] = [
  'servers',
  'stream',
  'credentials',
  'options',
  'client',
  'replicas',
  'storage',
  'syncAlways',
  'ackWait',
  'maxBytes',
];

const DEFAULTS = {
  servers: 'nats://localhost:4222',
  stream: 'events',
  replicas: 1,
  storage: 'file',
  syncAlways: false,
  ackWait: 30_000,
  maxBytes: 1_000_000,
} as const;

/** What leaving out means of the options that say where to connect, and as whom. */
const LEFT_OUT = {
  servers: `«${DEFAULTS.servers}»`,
  stream: `«${DEFAULTS.stream}»`,
  credentials: 'none',
  client: 'a connection of its own',
};

export function checkOptions(options: NatsOptions): Settings {
  knownKeys('nats', options, KNOWN);
  refuseUndefined('nats', options, LEFT_OUT);
  const { client, credentials, options: native = {} } = options;
  if (client !== undefined && (options.servers ?? credentials ?? options.options) !== undefined)
    throw new InvalidOptionError('nats.client', 'given', 'either client or servers, credentials and options');
  if (credentials !== undefined && (typeof credentials !== 'string' || credentials === ''))
    throw new InvalidOptionError('nats.credentials', `a ${typeof credentials}`, 'the path of a file');
  if (typeof native !== 'object' || native === null)
    throw new InvalidOptionError('nats.options', `a ${typeof native}`, 'an object');
  const stream = options.stream ?? DEFAULTS.stream;
  if (typeof stream !== 'string' || !/^[A-Za-z0-9][\w-]{0,99}$/.test(stream))
    throw new InvalidOptionError(
      'nats.stream',
      stream,
      'up to 100 letters, digits, «-» and «_», not beginning with «_»',
    );
  return {
    address: addressOf(client ?? serverUrls('nats.servers', options.servers ?? DEFAULTS.servers), native, credentials),
    stream,
    replicas: integerBetween('nats.replicas', options.replicas ?? DEFAULTS.replicas, 1, 5),
    storage: oneOf('nats.storage', options.storage ?? DEFAULTS.storage, ['file', 'memory']),
    syncAlways: checkBoolean('nats.syncAlways', options.syncAlways ?? DEFAULTS.syncAlways),
    ackWait: integerBetween('nats.ackWait', options.ackWait ?? DEFAULTS.ackWait, 1_000, 2 ** 31 - 1),
    maxBytes: integerBetween('nats.maxBytes', options.maxBytes ?? DEFAULTS.maxBytes, 1, 2 ** 26),
  };
}

/** @throws InvalidOptionError for any */
export function checkSubscriptionOptions(native: Readonly<Record<string, unknown>> = {}): void {
  knownKeys('nats', native, []);
}
