import type { ClusterNode, RedisOptions as IoredisOptions } from 'ioredis';
import { InvalidOptionError } from '../../errors/configuration-errors.js';
import {
  checkBoolean,
  checkShortText,
  integerBetween,
  knownKeys,
  refuseUndefined,
  refuseUnset,
} from '../../errors/option-checks.js';
import { splitUrls } from '../../transport/broker-url.js';
import { percentDecoded, redactor, redactUrl } from '../kit/redactor.js';

/** Options of `redis({…})`. */
export interface RedisOptions {
  /** `redis://user:password@host:6379/0`, or `rediss://`; several nodes of a cluster with commas between them. Default `redis://localhost:6379`. */
  readonly url?: string;
  /** The URL leads to nodes of a cluster. Default false. */
  readonly cluster?: boolean;
  /** Further options of a client of `ioredis`: `tls`, `sentinels`, `password`, …. */
  readonly options?: Readonly<IoredisOptions>;
  /** What the names of all keys begin with, in braces: a cluster keeps them together. Default `messaging`. */
  readonly prefix?: string;
  /** Topic of publishes and subscriptions that name none. Default `events`. */
  readonly topic?: string;
  /**
   * Milliseconds after which what a process that died had is delivered again. While the process lives this is renewed by
   * itself. Default 30,000.
   */
  readonly lease?: number;
  /** The longest that an idle consumer waits before it looks into its queue, in milliseconds, where it is not woken. Default 1,000. */
  readonly pollInterval?: number;
  /** The largest body in bytes that is sent. Default 16 MiB. */
  readonly maxBytes?: number;
}

declare module '../../transport/broker-options.js' {
  interface BrokerOptions {
    /** Options of Redis for this queue: there are none yet. */
    readonly redis?: RedisSubscriptionOptions;
  }
}

/** What `redis: {…}` of a subscription takes: nothing yet, so that a typing error is not ignored. */
export type RedisSubscriptionOptions = Readonly<Record<string, never>>;

/** Where the server is. The credentials live in the closures only, so that no inspected object shows them. */
export interface Address {
  /** `host:port/database`. */
  readonly host: string;
  /** For a new client. */
  config(): IoredisOptions;
  /** For the client of a cluster. */
  nodes(): ClusterNode[];
  /** Takes the credentials out of a text. */
  redact(text: string): string;
}

/** The options, checked and complete. Holds no credentials: they stay inside the closures of `address`. */
export interface Settings extends Required<Omit<RedisOptions, 'url' | 'options'>> {
  readonly address: Address;
}

const DEFAULTS = {
  url: 'redis://localhost:6379',
  cluster: false,
  prefix: 'messaging',
  topic: 'events',
  lease: 30_000,
  pollInterval: 1_000,
  maxBytes: 2 ** 24,
} as const;

const KNOWN = [...Object.keys(DEFAULTS), 'options'] as (keyof RedisOptions)[];
/** What leaving out means of the options that say where to connect. */
const LEFT_OUT = { url: `«${DEFAULTS.url}»`, prefix: `«${DEFAULTS.prefix}»`, topic: `«${DEFAULTS.topic}»` };
/** What the transport relies on: nothing is sent twice, and it connects again by itself. */
// prettier-ignore
const OURS = [
  'lazyConnect', 'retryStrategy', 'maxRetriesPerRequest', 'enableOfflineQueue', 'enableReadyCheck', 'reconnectOnError',
  'keyPrefix', 'protocol', 'commandTimeout', 'socketTimeout', 'blockingTimeout',
  'autoResubscribe', 'stringNumbers', 'readOnly', 'host', 'port', 'db',
];

export function checkOptions(options: RedisOptions): Settings {
  knownKeys('redis', options, KNOWN);
  refuseUndefined('redis', options, LEFT_OUT);
  const given = {
    ...DEFAULTS,
    ...Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
  };
  const { options: native = {} } = options;
  if (typeof native !== 'object' || native === null)
    throw new InvalidOptionError('redis.options', `a ${typeof native}`, 'an object');
  const ours = OURS.find((name) => name in native);
  if (ours)
    throw new InvalidOptionError(`redis.options.${ours}`, 'a value', 'nothing: the transport sets it, or `url` does');
  return {
    address: addressOf(given.url, native, checkBoolean('redis.cluster', given.cluster)),
    cluster: given.cluster,
    prefix: checkPrefix(given.prefix),
    topic: checkShortText('redis.topic', given.topic),
    lease: integerBetween('redis.lease', given.lease, 1_000, 2 ** 31 - 1),
    pollInterval: integerBetween('redis.pollInterval', given.pollInterval, 10, 3_600_000),
    maxBytes: integerBetween('redis.maxBytes', given.maxBytes, 1, 2 ** 26),
  };
}

/** @throws InvalidOptionError for any */
export function checkSubscriptionOptions(native: Readonly<Record<string, unknown>> = {}): void {
  knownKeys('redis', native, []);
}

function checkPrefix(prefix: unknown): string {
  if (typeof prefix === 'string' && /^[^{}\s]{1,100}$/.test(prefix)) return prefix;
  throw new InvalidOptionError('redis.prefix', prefix, 'up to 100 characters without braces and spaces');
}

function addressOf(text: unknown, native: Readonly<IoredisOptions>, cluster: boolean): Address {
  const urls = typeof text === 'string' ? splitUrls(text) : [];
  const isUsable = (one: string): boolean =>
    /^rediss?:\/\/[^?#]+$/.test(one) && URL.canParse(one) && /^(\/\d{0,9})?$/.test(new URL(one).pathname);
  if (urls.length === 0 || !urls.every(isUsable) || (!cluster && urls.length > 1))
    throw new InvalidOptionError(
      'redis.url',
      typeof text === 'string' ? redactUrl(text).replace(/[?#].*/s, '?***') : text,
      'redis://user:password@host:port/database, without «?» and «#»; several with commas between them only with `cluster`',
    );
  const parsed = urls.map((one) => new URL(one));
  for (const url of parsed) refuseUnset('redis.url', url);
  const [url] = parsed;
  const who = ({ protocol, username, password }: URL): string => [protocol, username, password].join();
  if (parsed.some((one) => who(one) !== who(url)))
    throw new InvalidOptionError(
      'redis.url',
      'several that differ',
      'the same scheme, user and password in each: all nodes of a cluster are reached the same way',
    );
  const [user, password] = [percentDecoded(url.username), percentDecoded(url.password)];
  const nodes = (): ClusterNode[] =>
    parsed.map(({ hostname, port }) => ({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || 6379 }));
  const db = Number(url.pathname.slice(1)) || 0;
  if (cluster && parsed.some(({ pathname }) => Number(pathname.slice(1)) > 0))
    throw new InvalidOptionError('redis.url', redactUrl(String(text)), 'no database: a cluster has only one');
  return {
    host: `${parsed.map((one) => `${one.hostname}:${one.port || 6379}`).join(',')}${cluster ? '' : `/${db}`}`,
    redact: redactor(
      [
        ...parsed.flatMap((one) => [percentDecoded(one.password), one.password]),
        native.password,
        native.sentinelPassword,
      ].filter((one) => typeof one === 'string'),
    ),
    nodes,
    config: () => ({
      keepAlive: 10_000,
      connectTimeout: 10_000,
      ...native,
      ...(user !== '' && { username: user }),
      ...(password !== '' && { password }),
      ...(url.protocol === 'rediss:' && { tls: { ...native.tls } }),
      ...(!native.sentinels && (nodes()[0] as { host: string; port: number })),
      db,
      lazyConnect: true,
      protocol: 2,
      maxRetriesPerRequest: 0,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      retryStrategy: () => null,
    }),
  };
}
