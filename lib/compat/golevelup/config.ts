import { Logger, type LoggerService } from '@nestjs/common';
import type { Options } from 'amqplib';
import { InvalidOptionError } from '../../errors/configuration-errors.js';
import { knownKeys, oneOf } from '../../errors/option-checks.js';
import type { MessagingModuleOptions } from '../../messaging.options.js';
import type { RabbitmqExchange } from '../../transports/rabbitmq/topology/exchanges.js';
import type { RabbitmqOptions } from '../../transports/rabbitmq/options.js';
import { rabbitmq } from '../../transports/rabbitmq/rabbitmq.js';
import { MigrationReport, type ReportTarget } from '../migration-report.js';
import { MessageHandlerErrorBehavior } from './error-behaviors.js';
import type { RabbitMQConfig, RabbitMQUriConfig } from './interfaces.js';
import { connectionOf } from './connection-manager-options.js';

/** Beside golevelup's config: options of the module, and of `rabbitmq({ … })`, which win over what is made of the config. */
export interface GolevelupCompatOptions extends Omit<MessagingModuleOptions, 'transport' | 'consume' | 'serializer'> {
  /** Where it is told what behaves otherwise. Default `warn`. */
  readonly report?: ReportTarget;
  readonly rabbitmq?: RabbitmqOptions;
}

/** A config, read. */
export interface CompatSettings {
  readonly config: RabbitMQConfig;
  readonly messaging: MessagingModuleOptions & { readonly service: string };
  /** By name, as far as the config says: their type. */
  readonly exchangeTypes: ReadonlyMap<string, string>;
  readonly errorBehavior: MessageHandlerErrorBehavior;
  readonly report: MigrationReport;
  readonly log: LoggerService;
}

export const DEFAULT_NAME = 'default';
const MODULE = 'GolevelupCompatModule';
/** What an application is called that does not say. */
const DEFAULT_SERVICE = 'app';

const KNOWN: readonly (keyof RabbitMQConfig)[] = [
  'name',
  'uri',
  'prefetchCount',
  'exchanges',
  'exchangeBindings',
  'queues',
  'defaultRpcTimeout',
  'defaultExchangeType',
  'defaultRpcErrorHandler',
  'defaultSubscribeErrorBehavior',
  'connectionInitOptions',
  'connectionManagerOptions',
  'registerHandlers',
  'enableDirectReplyTo',
  'enableControllerDiscovery',
  'channels',
  'handlers',
  'defaultHandler',
  'logger',
  'deserializer',
  'serializer',
  'defaultPublishOptions',
];

/** @throws InvalidOptionError */
export function readConfig(config: RabbitMQConfig, options: GolevelupCompatOptions): CompatSettings {
  knownKeys('config', config, KNOWN);
  const { report: target, rabbitmq: own, service = DEFAULT_SERVICE, ...others } = options;
  const report = new MigrationReport('golevelup', target);
  const behaviors = Object.values(MessageHandlerErrorBehavior);
  const { defaultSubscribeErrorBehavior: errorBehavior = MessageHandlerErrorBehavior.REQUEUE } = config;
  oneOf('config.defaultSubscribeErrorBehavior', errorBehavior, behaviors);
  const { reconnect, ...connection } = connectionOf(
    (config.connectionManagerOptions ?? {}) as Readonly<Record<string, unknown>>,
  );
  const exchanges = exchangesOf(config);
  const transport = rabbitmq({ ...addressOf(config.uri), ...connection, exchanges, ...own });
  reportConfig(config, options, errorBehavior, report);
  return {
    config,
    messaging: {
      ...(reconnect && { reconnect }),
      ...others,
      service,
      transport,
      consume: config.registerHandlers ?? true,
    },
    exchangeTypes: new Map(exchanges.map(({ name, type = 'topic' }) => [name, type])),
    errorBehavior,
    report,
    log: config.logger ?? new Logger('AmqpConnection'),
  };
}

function reportConfig(
  config: RabbitMQConfig,
  { service }: GolevelupCompatOptions,
  errorBehavior: MessageHandlerErrorBehavior,
  report: MigrationReport,
): void {
  const differs = (option: string, difference: string): void => report.differs(MODULE, option, difference);
  if (service === undefined)
    differs('service', `dead letters are in «${DEFAULT_SERVICE}:<queue>:dlq». Give this application a name of its own`);
  if (errorBehavior === MessageHandlerErrorBehavior.REQUEUE)
    differs(
      'defaultSubscribeErrorBehavior REQUEUE',
      'a failed call is retried with pauses, by the option «retry», and its message is a dead letter at last, where theirs is called again at once and for ever',
    );
  if (config.connectionInitOptions)
    differs(
      'connectionInitOptions',
      'the application starts without its broker and says so in its health, its handlers start when that comes; what is lost and comes back is always logged. Leave it out',
    );
  if (config.logger)
    differs('logger', 'has what handlers and requests say; the rest goes to Nest’s Logger (app.useLogger)');
  if (config.defaultRpcErrorHandler)
    differs('defaultRpcErrorHandler', 'gets a stand-in for the channel: ack, nack, reject, publish and sendToQueue');
  if (config.enableDirectReplyTo === false)
    differs(
      'enableDirectReplyTo: false',
      '@RabbitRPC is not registered, as with theirs. Leave it out to have it answer',
    );
  for (const { name, consumerTag } of config.queues ?? [])
    if (consumerTag !== undefined)
      differs(
        `queues: «${name}»: consumerTag`,
        'tags are our own; the management pages tell consumers by their connection',
      );
}

/** @throws InvalidOptionError */
function exchangesOf({
  exchanges = [],
  exchangeBindings = [],
  defaultExchangeType,
}: RabbitMQConfig): RabbitmqExchange[] {
  const byName = new Map<string, RabbitmqExchange>();
  for (const exchange of exchanges) {
    knownKeys('config.exchanges', exchange, ['name', 'type', 'createExchangeIfNotExists', 'options']);
    const { name, type = defaultExchangeType, createExchangeIfNotExists: declare, options = {} } = exchange;
    const {
      alternateExchange,
      arguments: args,
      ...given
    } = options as Omit<typeof options, 'arguments'> & {
      arguments?: object;
    };
    knownKeys('config.exchanges.options', given, ['durable', 'autoDelete', 'internal']);
    byName.set(name, {
      ...{ name, ...given },
      ...(type !== undefined && { type }),
      ...(declare !== undefined && { declare }),
      arguments: { ...args, ...(alternateExchange && { 'alternate-exchange': alternateExchange }) },
    });
  }
  for (const binding of exchangeBindings) {
    knownKeys('config.exchangeBindings', binding, ['destination', 'source', 'pattern', 'args']);
    const { destination, source, pattern, args } = binding;
    const bound = { exchange: source, key: pattern, ...(args && { arguments: args as Record<string, unknown> }) };
    // What nobody describes is somebody else's.
    const reached = byName.get(destination) ?? { name: destination, declare: false };
    byName.set(destination, { ...reached, bindings: [...(reached.bindings ?? []), bound] });
  }
  return [...byName.values()];
}

const CONNECT = ['protocol', 'hostname', 'port', 'username', 'password', 'vhost', 'heartbeat'];

/** @throws InvalidOptionError */
function addressOf(uri: RabbitMQConfig['uri']): RabbitmqOptions {
  const uris = [uri].flat();
  if (uris.length === 0) throw new InvalidOptionError('config.uri', uri, 'an address, or several of one cluster');
  return { urls: uris.map(urlOf) };
}

function urlOf(uri: RabbitMQUriConfig): string {
  if (typeof uri === 'string') return uri;
  knownKeys('config.uri', uri, CONNECT);
  const { protocol = 'amqp', hostname = '', port = 5672, username, password, vhost, heartbeat }: Options.Connect = uri;
  if (hostname === '') throw new InvalidOptionError('config.uri.hostname', hostname, 'a host');
  const user = username && password ? `${encodeURIComponent(username)}:${encodeURIComponent(password)}@` : '';
  const path = vhost === undefined || vhost === '/' ? '' : `/${encodeURIComponent(vhost.replace(/^\//, ''))}`;
  return `${protocol}://${user}${hostname}:${port}${path}${heartbeat === undefined ? '' : `?heartbeat=${heartbeat}`}`;
}
