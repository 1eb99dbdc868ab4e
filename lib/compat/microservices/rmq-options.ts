import { InvalidOptionError, UnsupportedError } from '../../errors/configuration-errors.js';
import { knownKeys } from '../../errors/option-checks.js';
import type { MessagingModuleOptions } from '../../messaging.options.js';
import type { RabbitmqOptions, RabbitmqSubscriptionOptions } from '../../transports/rabbitmq/options.js';
import { rabbitmq } from '../../transports/rabbitmq/rabbitmq.js';
import { MigrationReport, type ReportTarget } from '../migration-report.js';
import type { MessagingClientOptions } from './client.js';
import { addressesOf, type RmqOptions, socketOf } from './rmq-connection.js';
import type { MessagingStrategyOptions } from './strategy.js';

/** What `fromRmqOptions` takes beside them. */
export interface FromRmqOptions {
  /** The service, as `MessagingModule.forRoot` takes it. */
  readonly service: string;
  /** Where it is told what behaves otherwise. Default `'warn'`. */
  readonly report?: ReportTarget;
}

/** The options of Nest's RabbitMQ transport, as those of this package. */
export interface MigratedRmq {
  /** For `MessagingModule.forRoot`. */
  readonly module: Pick<MessagingModuleOptions, 'service' | 'transport' | 'reconnect'>;
  /** For `new MessagingStrategy(messaging, …)`. */
  readonly strategy: MessagingStrategyOptions;
  /** For `new MessagingClient({ messaging, … })`. */
  readonly client: Omit<MessagingClientOptions, 'messaging'>;
  /** What behaves otherwise, a line each. */
  readonly differences: readonly string[];
}

/** Where Nest has no limit. */
const PREFETCH = 100;
const DIRECT_REPLY = 'amq.rabbitmq.reply-to';
const TYPES = ['topic', 'direct', 'fanout', 'headers'];

/**
 * Turns the options of Nest's RabbitMQ transport into those of this package. Each is mapped, or told in the report where it
 * behaves otherwise, or refused by name.
 * @throws UnsupportedError for what has no counterpart, with what to do instead; InvalidOptionError for a name that Nest does
 * not have; with `report: 'error'` UnsupportedError where anything behaves otherwise
 */
export function fromRmqOptions(options: RmqOptions, { service, report: target }: FromRmqOptions): MigratedRmq {
  knownKeys('RmqOptions', options, NAMES);
  const report = new MigrationReport('@nestjs/microservices', target);
  const differs = (option: string, difference: string): void => report.differs('RmqOptions', option, difference);
  refuse(options);
  const exchange = exchangeOf(options);
  const isTopic = exchange === undefined || exchange.type === 'topic';
  const { rabbitmq: connection, reconnect } = socketOf(options.socketOptions, differs);
  tell(options, differs);
  const transport: RabbitmqOptions = {
    ...connection,
    ...addressesOf(options.urls),
    ...(exchange && isTopic && { exchange: exchange.name }),
  };
  const { headers, serializer, deserializer, queue } = options;
  const byRoute = options.wildcards === true || exchange?.type === 'fanout';
  const own = { ...(serializer && { serializer }), ...(deserializer && { deserializer }) };
  const foreign = exchange && !isTopic && { topic: exchange.name };
  const migrated = {
    module: { service, transport: rabbitmq(transport), ...(reconnect && { reconnect }) },
    strategy: { ...strategyOf(options, exchange, differs), ...foreign, ...own },
    client: {
      ...(byRoute ? foreign : queue && { queue }),
      ...(headers && { headers }),
      ...own,
    },
  } as Omit<MigratedRmq, 'differences'>;
  report.tell();
  return { ...migrated, differences: report.entries };
}

interface Exchange {
  readonly name: string;
  readonly type: NonNullable<RabbitmqSubscriptionOptions['exchangeType']>;
}

type Differs = (option: string, difference: string) => void;

function strategyOf(options: RmqOptions, exchange: Exchange | undefined, differs: Differs): MessagingStrategyOptions {
  const {
    queue,
    wildcards = false,
    routingKey,
    prefetchCount = 0,
    noAssert = options.queueOptions?.noAssert as unknown,
  } = options;
  // A fanout exchange looks at no key; the patterns are in the bodies.
  const routes = exchange?.type === 'fanout' ? ['#'] : routingKey === undefined ? [] : [routingKey];
  const bind = exchange !== undefined && (wildcards || routes.length > 0);
  const prefetch = { prefetch: prefetchCount > 0 ? prefetchCount : PREFETCH };
  const exchangeType = exchange && exchange.type !== 'topic' && { exchangeType: exchange.type };
  if (!queue) {
    differs(
      'queue',
      'without one each process has a queue of its own, which ends with it; Nest leaves them behind. Give the queue a name where processes share it',
    );
    return {
      exclusive: true,
      ...prefetch,
      ...(!wildcards && routes.length > 0 && { routes }),
      ...(exchangeType && { rabbitmq: exchangeType }),
    };
  }
  const declared = noAssert === true ? undefined : queueArguments(options, differs);
  return {
    queue,
    ...prefetch,
    ...(noAssert === true && { adopt: true }),
    ...(!bind && { bind }),
    ...(bind && !wildcards && { routes }),
    ...(bind &&
      wildcards &&
      routes.length > 0 && { routes: (patterns: readonly string[]) => [...patterns, ...routes] }),
    ...(declared?.hasDeadLetters && { dlq: false }),
    ...((declared || exchangeType) && { rabbitmq: { ...declared?.native, ...exchangeType } }),
  };
}

/** The queue as Nest would declare it, so that the one that is there fits, and a new one is the same. */
function queueArguments(
  { queueOptions = {} }: RmqOptions,
  differs: Differs,
): { readonly native: RabbitmqSubscriptionOptions; readonly hasDeadLetters: boolean } {
  const {
    durable = true,
    autoDelete = false,
    arguments: given = {},
    exclusive,
    noAssert: _,
    ...named
  } = queueOptions as Readonly<Record<string, unknown>>;
  if (exclusive === true)
    throw unsupported(
      'queueOptions.exclusive',
      'leave out «queue»: then each process has a queue of its own, which outlives a lost connection',
    );
  const own: Record<string, unknown> = { ...(given as object) };
  for (const [name, value] of Object.entries(named)) {
    const argument = ARGUMENTS[name];
    if (argument === undefined)
      throw new InvalidOptionError(
        `RmqOptions.queueOptions.${name}`,
        value,
        `nothing of that name; there are: durable, autoDelete, arguments, ${Object.keys(ARGUMENTS).join(', ')}`,
      );
    if (value !== undefined) own[argument] = value;
  }
  const hasDeadLetters = own['x-dead-letter-exchange'] !== undefined;
  if (hasDeadLetters)
    differs(
      'queueOptions.deadLetterExchange',
      'what is given up is rejected, and goes where the queue says: this package does not see it. Without the argument, in a new queue, it has dead letters that can be looked at and redriven',
    );
  // Undefined leaves an argument of this package out.
  const native = {
    arguments: { ...NONE_OF_OURS, 'x-queue-type': 'classic', ...own },
    ...(durable === false && { durable }),
    ...(autoDelete === true && { autoDelete }),
  };
  return { native, hasDeadLetters };
}

const NONE_OF_OURS = {
  'x-delivery-limit': undefined,
  'x-dead-letter-exchange': undefined,
  'x-dead-letter-routing-key': undefined,
  'x-dead-letter-strategy': undefined,
  'x-overflow': undefined,
};

const ARGUMENTS: Readonly<Record<string, string>> = {
  messageTtl: 'x-message-ttl',
  expires: 'x-expires',
  deadLetterExchange: 'x-dead-letter-exchange',
  deadLetterRoutingKey: 'x-dead-letter-routing-key',
  maxLength: 'x-max-length',
  maxPriority: 'x-max-priority',
};

function exchangeOf({ exchange, exchangeType = 'topic', wildcards, queue }: RmqOptions): Exchange | undefined {
  if (!TYPES.includes(exchangeType))
    throw unsupported(
      'exchangeType',
      `one of ${TYPES.join(', ')}; bind the queue to an exchange of another type yourself, and leave out «exchange»`,
    );
  const name = exchange ?? (wildcards || exchangeType === 'fanout' ? queue : undefined);
  return name ? { name, type: exchangeType as Exchange['type'] } : undefined;
}

function refuse({ replyQueue = DIRECT_REPLY, exchangeArguments = {} }: RmqOptions): void {
  if (replyQueue !== DIRECT_REPLY)
    throw unsupported('replyQueue', 'leave it out: replies come by direct reply-to, which needs no queue');
  if (Object.keys(exchangeArguments).length > 0)
    throw unsupported(
      'exchangeArguments',
      'leave out «exchange» and «wildcards», make the exchange and its bindings by a definitions file, and name the «queue»',
    );
}

function unsupported(option: string, remedy: string): UnsupportedError {
  return new UnsupportedError(`RmqOptions.${option} has no counterpart here: ${remedy}`);
}

function tell(
  { noAck = true, prefetchCount = 0, persistent, consumerTag, maxConnectionAttempts = -1 }: RmqOptions,
  differs: Differs,
): void {
  if (noAck)
    differs(
      'noAck',
      'a message is acked when its handler has returned, not before; one that fails is retried, so a handler should bear to be called twice. It cannot be turned off',
    );
  else
    differs(
      'noAck: false',
      'a message is acked when its handler has returned, also without channel.ack; one that fails is retried',
    );
  if (prefetchCount <= 0)
    differs(
      'prefetchCount',
      `${PREFETCH} messages at most are handled at a time in a process, instead of any number. Set it`,
    );
  if (persistent === false) differs('persistent', 'every message is persistent, and confirmed by the broker');
  if (consumerTag !== undefined)
    differs(
      'consumerTag',
      'the broker names the consumer. Leave it out; socketOptions.clientProperties.connection_name names the process',
    );
  if (maxConnectionAttempts > 0)
    differs(
      'maxConnectionAttempts',
      'connecting is tried for ever, and the start does not wait for it. Leave it out; health tells of it',
    );
}

const NAMES: readonly (keyof RmqOptions)[] = [
  'urls',
  'queue',
  'prefetchCount',
  'isGlobalPrefetchCount',
  'queueOptions',
  'socketOptions',
  'noAck',
  'consumerTag',
  'serializer',
  'deserializer',
  'replyQueue',
  'persistent',
  'headers',
  'noAssert',
  'exchange',
  'exchangeType',
  'exchangeArguments',
  'routingKey',
  'wildcards',
  'maxConnectionAttempts',
];
