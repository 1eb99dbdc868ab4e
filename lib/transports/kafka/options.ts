import type { KafkaConfig } from 'kafkajs';
import { InvalidOptionError, NOT_SHOWN } from '../../errors/configuration-errors.js';
import { integerBetween, knownKeys, oneOf, refuseUndefined } from '../../errors/option-checks.js';
import { percentDecoded, redactor, redactUrl } from '../kit/redactor.js';

export interface KafkaOptions {
  /** Brokers to begin with, `kafka://user:password@host:port` or `host:port`, separated by commas or as a list. Default `localhost:9092`. `kafkas:` for TLS. */
  readonly brokers?: string | readonly string[];
  /** Where messages are published to that name no topic. Default `events`. All topics of this package begin with it. */
  readonly topic?: string;
  /**
   * What stands for the route of a message: a header, in the one topic of all routes, or a topic of its own. Default
   * `header`; all applications of a topic have to say the same.
   */
  readonly routes?: 'header' | 'topics';
  /** How a user of the URL logs in. Default `plain`. */
  readonly mechanism?: 'plain' | 'scram-sha-256' | 'scram-sha-512';
  /** Further options of the client kafkajs: `ssl`, `sasl`, `connectionTimeout`, `requestTimeout`, …. */
  readonly options?: Readonly<
    Partial<Omit<KafkaConfig, 'brokers' | 'clientId' | 'socketFactory' | 'logLevel' | 'retry'>>
  >;
  /** Partitions of topics that are made, 1 to 1,000. Default 6. A topic that is there stays as it is. */
  readonly partitions?: number;
  /** Copies of each partition in the cluster, 1 to 7. Default 1: take 3 where there are three brokers. */
  readonly replicas?: number;
  /**
   * Milliseconds after which the partitions of a process that is silent go to others, 1,000 to 1,800,000. Default 30,000; a
   * handler that blocks the event loop for longer loses them.
   */
  readonly sessionTimeout?: number;
  /** How what is sent is compressed. Default `none`. */
  readonly compression?: 'none' | 'gzip';
  /** The largest body in bytes that is sent. Default 900,000: Kafka takes 1 MiB with headers, and copies need room. */
  readonly maxBytes?: number;
}

declare module '../../transport/broker-options.js' {
  interface BrokerOptions {
    /** Options of Kafka for this queue: there are none yet. */
    readonly kafka?: KafkaSubscriptionOptions;
  }
}

/** What `kafka: {…}` of a subscription takes: nothing yet, so that a typing error is not ignored. */
export type KafkaSubscriptionOptions = Readonly<Record<string, never>>;

/** The options, checked and complete. Credentials are in what `config` gives, and in nothing that is logged. */
export interface Settings {
  readonly host: string;
  readonly topic: string;
  readonly routes: 'header' | 'topics';
  readonly partitions: number;
  readonly replicas: number;
  readonly sessionTimeout: number;
  readonly maxBytes: number;
  readonly compression: 'none' | 'gzip';
  readonly config: (clientId: string) => KafkaConfig;
  readonly redact: (text: string) => string;
}

const DEFAULTS = {
  brokers: 'localhost:9092',
  topic: 'events',
  routes: 'header',
  mechanism: 'plain',
  partitions: 6,
  replicas: 1,
  sessionTimeout: 30_000,
  compression: 'none',
  maxBytes: 900_000,
} as const satisfies { readonly [Name in Exclude<keyof KafkaOptions, 'options'>]-?: KafkaOptions[Name] };
const KNOWN: readonly string[] = [...Object.keys(DEFAULTS), 'options'];
const NOT_THEIRS = ['brokers', 'clientId', 'socketFactory', 'logLevel', 'logCreator', 'retry'];

export function checkOptions(options: KafkaOptions): Settings {
  knownKeys('kafka', options, KNOWN);
  refuseUndefined('kafka', options, { brokers: `«${DEFAULTS.brokers}»`, topic: `«${DEFAULTS.topic}»` });
  const { options: native = {} } = options;
  if (typeof native !== 'object' || native === null)
    throw new InvalidOptionError('kafka.options', `a ${typeof native}`, 'an object');
  for (const name of NOT_THEIRS)
    if (name in native) throw new InvalidOptionError(`kafka.options.${name}`, NOT_SHOWN, 'nothing: it is made here');
  const topic = options.topic ?? DEFAULTS.topic;
  if (typeof topic !== 'string' || !/^[A-Za-z0-9][A-Za-z0-9.-]{0,99}$/.test(topic))
    throw new InvalidOptionError('kafka.topic', topic, 'up to 100 letters, digits, «.» and «-»');
  const urls = addresses(options.brokers ?? DEFAULTS.brokers);
  const [{ username, password, protocol }] = urls;
  const userOf = (url: URL): string => `${url.username}:${url.password}`;
  if (urls.some((url) => url.protocol !== protocol || (userOf(url) !== ':' && userOf(url) !== userOf(urls[0]))))
    throw new InvalidOptionError('kafka.brokers', NOT_SHOWN, 'one scheme and one user for all brokers: of the first');
  const mechanism = oneOf('kafka.mechanism', options.mechanism ?? DEFAULTS.mechanism, [
    'plain',
    'scram-sha-256',
    'scram-sha-512',
  ]);
  const login = { username: percentDecoded(username), password: percentDecoded(password) };
  const hosts = urls.map(({ hostname, port }) => `${hostname}:${port || '9092'}`);
  const secrets = native.sasl as { readonly password?: string } | undefined;
  return {
    host: hosts.join(', '),
    topic,
    routes: oneOf('kafka.routes', options.routes ?? DEFAULTS.routes, ['header', 'topics']),
    partitions: integerBetween('kafka.partitions', options.partitions ?? DEFAULTS.partitions, 1, 1_000),
    replicas: integerBetween('kafka.replicas', options.replicas ?? DEFAULTS.replicas, 1, 7),
    sessionTimeout: integerBetween(
      'kafka.sessionTimeout',
      options.sessionTimeout ?? DEFAULTS.sessionTimeout,
      1_000,
      1_800_000,
    ),
    maxBytes: integerBetween('kafka.maxBytes', options.maxBytes ?? DEFAULTS.maxBytes, 1, 2 ** 26),
    compression: oneOf('kafka.compression', options.compression ?? DEFAULTS.compression, ['none', 'gzip']),
    config: (clientId) => ({
      connectionTimeout: 5_000,
      requestTimeout: 15_000,
      ...(protocol === 'kafkas:' && { ssl: true }),
      ...(username !== '' && { sasl: { mechanism, ...login } as KafkaConfig['sasl'] }),
      ...native,
      clientId,
      brokers: hosts,
    }),
    redact: redactor([login.password, password, secrets?.password]),
  };
}

/** @throws InvalidOptionError for any */
export function checkSubscriptionOptions(native: Readonly<Record<string, unknown>> = {}): void {
  knownKeys('kafka', native, []);
}

function addresses(given: unknown): readonly URL[] {
  const list: unknown = typeof given === 'string' ? given.split(/,(?![^@]*@)|,(?=\s*kafkas?:)/) : given;
  if (!Array.isArray(list) || list.length === 0)
    throw new InvalidOptionError('kafka.brokers', given, '«host:port», or a list of at least one');
  const scheme = /^\s*kafkas:/.test(String(list[0])) ? 'kafkas://' : 'kafka://';
  return list.map((text: unknown) => {
    const url = typeof text === 'string' ? text.trim().replace(/^(?!kafkas?:\/\/)/, scheme) : '';
    if (!URL.canParse(url) || new URL(url).hostname === '')
      throw new InvalidOptionError(
        'kafka.brokers',
        typeof text === 'string' ? redactUrl(text) : text,
        'host:port or kafka://user:password@host:port',
      );
    return new URL(url);
  });
}
