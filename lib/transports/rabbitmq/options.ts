import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { InvalidOptionError } from '../../errors/configuration-errors.js';
import { knownKeys, refuseUndefined, refuseUnset, oneOf } from '../../errors/option-checks.js';
import type { QueueSplit } from '../../transport/topology.js';
import { redactUrl } from '../kit/redactor.js';
import { type Management, managementOf } from './provisioning/management.js';
import { parseAddress, type Address } from './connection/address.js';
import { checkBindings, checkExchanges, type RabbitmqBinding, type RabbitmqExchange } from './topology/exchanges.js';

export type QueueType = 'quorum' | 'classic';

/** Options of `rabbitmq({…})`. */
export interface RabbitmqOptions {
  /** `amqp://user:password@host:5672/vhost` or `amqps://…`. Default `amqp://localhost`. */
  readonly url?: string;
  /** Several nodes of one cluster, tried in turn. Instead of `url`. */
  readonly urls?: readonly string[];
  /** Virtual host. Default: the path of the URL, else `/`. */
  readonly vhost?: string;
  /** Durable topic exchange that routes are published to, and first part of the name of everything else. Default `events`. */
  readonly exchange?: string;
  /** Exchanges that are not durable topics, made at the start. One that is not named here is a durable topic exchange, made when it is first used. */
  readonly exchanges?: readonly RabbitmqExchange[];
  /** Type of the queues. `quorum` (default) is replicated and counts deliveries; `classic` is not and does not. */
  readonly queueType?: QueueType;
  /**
   * `x-delivery-limit` of quorum queues: how often a message can be given back before the broker itself dead-letters it.
   * Always sent, because RabbitMQ 4 has a default of 20. Default 1,000,000: this package counts attempts, not the broker.
   * The limit is an argument of the queues: with another value existing queues do not match any more.
   */
  readonly deliveryLimit?: number;
  /** Name of the connections in the broker's management pages. Default: the service. */
  readonly connectionName?: string;
  /**
   * The HTTP API of the management plugin, `http://user:password@host:15672`: `topology plan` and `topology migrate` ask
   * it for bindings and queues, which AMQP does not tell. Nothing else does. Default: none.
   */
  readonly management?: string;
  /** Heartbeat interval in seconds; 0 switches it off. Default: `?heartbeat=` of the URL, else 10. */
  readonly heartbeat?: number;
  /** Milliseconds after which an attempt to connect is given up. Default 10,000. */
  readonly connectTimeout?: number;
  /** The largest body in bytes that is sent. Default 16 MiB, RabbitMQ 4's own default. */
  readonly maxBytes?: number;
  /** Node's TLS options (`ca`, `cert`, `key`, `servername`, …), for `amqps:` URLs. */
  readonly tls?: TlsOptions;
  /** Further socket options of amqplib (`noDelay`, `keepAlive`, `keepAliveDelay`, `credentials`, …). `noDelay` is true by default. */
  readonly socket?: Readonly<Record<string, unknown>>;
}

declare module '../../transport/broker-options.js' {
  interface BrokerOptions {
    /** Options of RabbitMQ for this queue. */
    readonly rabbitmq?: RabbitmqSubscriptionOptions;
  }
}

/** What `rabbitmq: {…}` of a subscription takes. */
export interface RabbitmqSubscriptionOptions {
  /** Type of this queue and of its dead-letter queue. Default: the transport's `queueType`. */
  readonly queueType?: QueueType;
  /** One consumer at a time, the others stand by (`x-single-active-consumer`). Default false. */
  readonly singleActiveConsumer?: boolean;
  /**
   * Split the queue by key into so many, 2 to 256, which processes share among each other: order per key over several
   * processes that all work. Needs `concurrency: partitioned({ … })`. Default: the queue is not split.
   */
  readonly partitions?: number;
  /**
   * False: nothing is moved from the queue to its partitions, so that these can be worked off and their number be changed.
   * Default true.
   */
  readonly distribute?: boolean;
  /** Further arguments of the queue (`x-max-length`, `x-max-priority`, …). They win over ours; undefined leaves one of ours out. */
  readonly arguments?: Readonly<Record<string, unknown>>;
  /** The same for the dead-letter queue. */
  readonly deadLetterArguments?: Readonly<Record<string, unknown>>;
  /** False: the queue ends with its node; classic queues only. Default true. */
  readonly durable?: boolean;
  /** The broker deletes the queue when its last consumer has gone, with what is in it; classic queues only. Default false. */
  readonly autoDelete?: boolean;
  /** What the exchange of the subscription's `topic` is, where somebody else made it. Default `topic`. */
  readonly exchangeType?: 'topic' | 'direct' | 'headers' | 'fanout';
  /** Further bindings of this queue, beside its routes: other exchanges, or arguments. Their exchanges are there, or in `exchanges` of `rabbitmq({ … })`. */
  readonly bindings?: readonly RabbitmqBinding[];
}

/** The options, checked and complete. Holds no credentials: they stay inside `addresses`' closures. */
export interface Settings {
  readonly addresses: readonly Address[];
  readonly exchange: string;
  readonly exchanges: ReadonlyMap<string, RabbitmqExchange>;
  readonly queueType: QueueType;
  readonly deliveryLimit: number;
  readonly connectionName?: string;
  readonly maxBytes: number;
  readonly management?: Management;
}

const LEAST_PARTITIONS = 2;
const MOST_PARTITIONS = 256;

const KNOWN: readonly (keyof RabbitmqOptions)[] = [
  'url',
  'urls',
  'vhost',
  'exchange',
  'exchanges',
  'queueType',
  'deliveryLimit',
  'connectionName',
  'management',
  'heartbeat',
  'connectTimeout',
  'maxBytes',
  'tls',
  'socket',
];

const DEFAULTS = {
  url: 'amqp://localhost',
  exchange: 'events',
  queueType: 'quorum',
  deliveryLimit: 1_000_000,
  heartbeat: 10,
  connectTimeout: 10_000,
  maxBytes: 16 * 2 ** 20,
} as const;

/** What leaving out means of the options that say where to connect, and as whom. */
const LEFT_OUT = {
  url: `«${DEFAULTS.url}» as guest`,
  urls: 'a single «url»',
  vhost: 'the path of the URL',
  exchange: `«${DEFAULTS.exchange}»`,
};

export function checkOptions(options: RabbitmqOptions): Settings {
  knownKeys('rabbitmq', options, KNOWN);
  refuseUndefined('rabbitmq', options, LEFT_OUT);
  const heartbeat = options.heartbeat === undefined ? undefined : integer('heartbeat', options.heartbeat, 0, 65_535);
  const defaults = {
    vhost: options.vhost === undefined ? undefined : text('vhost', options.vhost, 255),
    heartbeat,
    defaultHeartbeat: DEFAULTS.heartbeat,
    timeout: integer('connectTimeout', options.connectTimeout ?? DEFAULTS.connectTimeout, 1, 2 ** 31 - 1),
    socket: { noDelay: true, ...object('socket', options.socket) },
    tls: object('tls', options.tls),
  };
  const exchange = text('exchange', options.exchange ?? DEFAULTS.exchange, 200);
  if (exchange.startsWith('amq.'))
    throw new InvalidOptionError('rabbitmq.exchange', exchange, 'a name that does not start with «amq.»');
  const addresses = urls(options).map((url) => parseAddress(url, defaults));
  return {
    addresses,
    management: options.management === undefined ? undefined : management(options.management, addresses[0].vhost),
    exchange,
    exchanges: checkExchanges(options.exchanges),
    queueType: queueType('queueType', options.queueType ?? DEFAULTS.queueType),
    deliveryLimit: integer('deliveryLimit', options.deliveryLimit ?? DEFAULTS.deliveryLimit, 1, 2 ** 31 - 1),
    connectionName:
      options.connectionName === undefined ? undefined : text('connectionName', options.connectionName, 255),
    maxBytes: integer('maxBytes', options.maxBytes ?? DEFAULTS.maxBytes, 1, 2 ** 29),
  };
}

const SUBSCRIPTION_OPTIONS: readonly (keyof RabbitmqSubscriptionOptions)[] = [
  'queueType',
  'singleActiveConsumer',
  'partitions',
  'distribute',
  'arguments',
  'deadLetterArguments',
  'durable',
  'autoDelete',
  'exchangeType',
  'bindings',
];

const EXCHANGE_TYPES = ['topic', 'direct', 'headers', 'fanout'] as const;

/** The broker's own options of one subscription, checked. */
export function checkSubscriptionOptions(native: Readonly<Record<string, unknown>> = {}): RabbitmqSubscriptionOptions {
  knownKeys('rabbitmq', native, SUBSCRIPTION_OPTIONS);
  for (const [name, value] of Object.entries(native)) {
    if (name === 'queueType') queueType(name, value);
    else if (name === 'arguments' || name === 'deadLetterArguments') object(name, value);
    else if (name === 'exchangeType') oneOf('rabbitmq.exchangeType', value, EXCHANGE_TYPES);
    else if (name === 'bindings') checkBindings(name, value as RabbitmqBinding[]);
    else if (name === 'partitions') integer(name, value, LEAST_PARTITIONS, MOST_PARTITIONS);
    else boolean(name, value);
  }
  checkOrder(native);
  return native;
}

/** One active consumer is there for the order of the queue. */
function checkOrder({ singleActiveConsumer, arguments: others }: RabbitmqSubscriptionOptions): void {
  const name = 'x-single-active-consumer';
  if (singleActiveConsumer !== undefined && others?.[name] !== undefined && others[name] !== singleActiveConsumer)
    throw new InvalidOptionError(
      `rabbitmq.arguments.${name}`,
      others[name],
      `left out beside «singleActiveConsumer: ${singleActiveConsumer}», which says the same; or leave out that`,
    );
  if (singleActiveConsumer && others?.['x-max-priority'] !== undefined)
    throw new InvalidOptionError(
      'rabbitmq.arguments.x-max-priority',
      others['x-max-priority'],
      'left out beside «singleActiveConsumer», which keeps the order of the queue; or leave out that',
    );
}

/** How many partitions a subscription has, where it has any. @throws InvalidOptionError for what contradicts them */
export function splitOf(
  native: Readonly<Record<string, unknown>>,
  { queueType: typeOfAll }: Pick<Settings, 'queueType'>,
): QueueSplit | undefined {
  const options = checkSubscriptionOptions(native);
  const {
    partitions: count,
    distribute,
    singleActiveConsumer,
    queueType: type = typeOfAll,
    arguments: others,
  } = options;
  if (count === undefined && distribute !== undefined)
    throw new InvalidOptionError('rabbitmq.distribute', distribute, 'left out without «partitions», which it is about');
  if (count === undefined) return undefined;
  if (singleActiveConsumer === false)
    throw new InvalidOptionError(
      'rabbitmq.singleActiveConsumer',
      false,
      'left out beside «partitions», which need it: or two processes would handle one key at a time',
    );
  if (type !== 'quorum')
    throw new InvalidOptionError(
      'rabbitmq.queueType',
      'classic',
      '«quorum» beside «partitions»: set it for this subscription, or leave it out',
    );
  const reordering = ['x-single-active-consumer', 'x-max-priority'].find((name) => others && name in others);
  if (reordering !== undefined)
    throw new InvalidOptionError(
      `rabbitmq.arguments.${reordering}`,
      others![reordering],
      'left out beside «partitions», which keep the order',
    );
  return { count, distribute: distribute ?? true };
}

function urls(options: RabbitmqOptions): readonly string[] {
  if (options.url !== undefined && options.urls !== undefined)
    throw new InvalidOptionError('rabbitmq.urls', 'given', 'either url or urls');
  const list: unknown = options.urls ?? [options.url ?? DEFAULTS.url];
  if (!Array.isArray(list) || list.length === 0)
    throw new InvalidOptionError('rabbitmq.urls', list, 'a list of at least one URL');
  for (const url of list) {
    if (typeof url !== 'string') throw new InvalidOptionError('rabbitmq.url', url, 'amqp://… or amqps://…');
    if (!/^amqps?:\/\//.test(url) || !URL.canParse(url)) {
      throw new InvalidOptionError('rabbitmq.url', redactUrl(url), 'amqp://user:password@host:port/vhost or amqps://…');
    }
    refuseUnset('rabbitmq.url', new URL(url));
  }
  return list as string[];
}

function management(url: unknown, vhost: string): Management {
  if (typeof url === 'string' && /^https?:\/\//.test(url) && URL.canParse(url)) return managementOf(url, vhost);
  throw new InvalidOptionError('rabbitmq.management', 'given', 'http://user:password@host:15672 or https://…');
}

function text(name: string, value: unknown, maxLength: number): string {
  if (typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= maxLength) return value;
  throw new InvalidOptionError(`rabbitmq.${name}`, value, `a non-empty string of at most ${maxLength} bytes`);
}

function integer(name: string, value: unknown, min: number, max: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw new InvalidOptionError(`rabbitmq.${name}`, value, `a whole number from ${min} to ${max}`);
}

function queueType(name: string, value: unknown): QueueType {
  if (value === 'quorum' || value === 'classic') return value;
  throw new InvalidOptionError(`rabbitmq.${name}`, value, '«quorum» or «classic»');
}

function boolean(name: string, value: unknown): void {
  if (typeof value !== 'boolean') throw new InvalidOptionError(`rabbitmq.${name}`, value, 'true or false');
}

function object(name: string, value: unknown): Record<string, unknown> {
  if (value === undefined) return {};
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  // Not the value itself: it may be a key or certificate.
  throw new InvalidOptionError(`rabbitmq.${name}`, `a ${typeof value}`, 'an object');
}
