import { createRequire } from 'node:module';
import { join } from 'node:path';
import type {
  DynamicModule,
  InjectionToken,
  ModuleMetadata,
  OptionalFactoryDependency,
  Provider,
  Type,
} from '@nestjs/common';
import { Module } from '@nestjs/common';
import { DiscoveryModule, DiscoveryService, ExternalContextCreator, MetadataScanner } from '@nestjs/core';
import { InvalidOptionError } from '../../errors/configuration-errors.js';
import type { Messaging } from '../../messaging.js';
import { MessagingModule } from '../../messaging.module.js';
import { getMessagingToken } from '../../messaging.tokens.js';
import { AmqpConnection } from './amqp-connection.js';
import { type CompatSettings, DEFAULT_NAME, type GolevelupCompatOptions, readConfig } from './config.js';
import { RABBIT_CONFIG_TOKEN } from './decorators.js';
import { RpcTimeoutError } from './error-behaviors.js';
import { handlersOf } from './handlers.js';
import { CompatHandling } from './handling.js';
import type { RabbitMQConfig } from './interfaces.js';
import { CompatPublishing } from './publishing.js';
import { CompatSubscriptions } from './subscriptions.js';

/** As golevelup's `forRootAsync` takes them: one of `useFactory`, `useClass` and `useExisting`. */
export interface GolevelupCompatAsyncOptions extends Pick<ModuleMetadata, 'imports'> {
  readonly useFactory?: (...args: never[]) => RabbitMQConfig | Promise<RabbitMQConfig>;
  readonly inject?: (InjectionToken | OptionalFactoryDependency)[];
  readonly useClass?: Type<RabbitMQConfigFactory>;
  readonly useExisting?: InjectionToken<RabbitMQConfigFactory>;
  /** The connection's name, where an application has several: what the config calls it. */
  readonly name?: string;
}

export interface RabbitMQConfigFactory {
  create(): RabbitMQConfig | Promise<RabbitMQConfig>;
}

@Module({})
class CompatConfigModule {}

/**
 * Stands in for golevelup's `RabbitMQModule`: handlers with its decorators run on this package, on the queues that they
 * have, and what behaves otherwise is reported.
 */
@Module({})
export class GolevelupCompatModule {
  /** Without a config nothing is connected, as in tests with theirs. @throws InvalidOptionError */
  static forRoot(config: RabbitMQConfig | undefined, options: GolevelupCompatOptions = {}): DynamicModule {
    if (config === undefined) return withoutConnection();
    if (typeof config !== 'object' || config === null)
      throw new InvalidOptionError(
        'config',
        config,
        'an object of options; the class of the module is not handed over any more',
      );
    // What is wrong with it is told here, where its line is.
    readConfig(config, { report: 'warn', ...options });
    return build(config.name, [], { provide: RABBIT_CONFIG_TOKEN, useValue: config }, options);
  }

  /** @throws InvalidOptionError; what is wrong with the config is told when the application starts */
  static forRootAsync(source: GolevelupCompatAsyncOptions, options: GolevelupCompatOptions = {}): DynamicModule {
    const { useFactory, inject = [], useClass, useExisting, imports = [], name } = source;
    if ([useFactory, useClass, useExisting].filter(Boolean).length !== 1)
      throw new InvalidOptionError('forRootAsync', undefined, 'exactly one of useFactory, useClass and useExisting');
    const provide = RABBIT_CONFIG_TOKEN;
    if (useFactory) return build(name, imports, { provide, inject, useFactory: useFactory as never }, options);
    const made = (factory: RabbitMQConfigFactory): unknown => factory.create();
    const token = (useExisting ?? useClass)!;
    return build(name, imports, { provide, inject: [token], useFactory: made }, options, useClass && [useClass]);
  }
}

/** What is exchanged between the providers of one connection. */
interface Parts {
  readonly connection: AmqpConnection;
}

function build(
  name: string | undefined,
  imports: NonNullable<ModuleMetadata['imports']>,
  config: Provider,
  options: GolevelupCompatOptions,
  more: Provider[] = [],
): DynamicModule {
  const named = name !== undefined && name !== DEFAULT_NAME ? { connection: name } : {};
  const settings = Symbol('nestjs-messaging:golevelup-settings');
  const configured: DynamicModule = {
    module: CompatConfigModule,
    imports,
    providers: [
      ...more,
      config,
      {
        provide: settings,
        inject: [RABBIT_CONFIG_TOKEN],
        useFactory: (given: RabbitMQConfig) => readConfig(given, options),
      },
    ],
    exports: [settings, RABBIT_CONFIG_TOKEN],
  };
  const messaging = MessagingModule.forRootAsync({
    ...named,
    imports: [configured],
    inject: [settings],
    useFactory: ({ messaging: made }: CompatSettings) => made,
  });
  const parts = Symbol('nestjs-messaging:golevelup-parts');
  const theirs = peer();
  const aliases = [
    ...(theirs ? [{ provide: theirs.AmqpConnection, useExisting: AmqpConnection }] : []),
    ...(theirs ? [{ provide: theirs.RABBIT_CONFIG_TOKEN, useExisting: RABBIT_CONFIG_TOKEN }] : []),
  ];
  return {
    module: GolevelupCompatModule,
    global: named.connection === undefined,
    imports: [configured, messaging, DiscoveryModule],
    providers: [
      {
        provide: parts,
        inject: [
          getMessagingToken(named.connection),
          settings,
          DiscoveryService,
          MetadataScanner,
          ExternalContextCreator,
        ],
        useFactory: assemble,
      },
      { provide: AmqpConnection, inject: [parts], useFactory: ({ connection }: Parts) => connection },
      ...aliases,
    ],
    exports: [AmqpConnection, configured, ...aliases.map(({ provide }) => provide)],
  };
}

function assemble(
  messaging: Messaging,
  settings: CompatSettings,
  discovery: DiscoveryService,
  scanner: MetadataScanner,
  contexts: ExternalContextCreator,
): Parts {
  const publishing = new CompatPublishing(messaging.publisher, settings);
  const handling = new CompatHandling(settings, publishing);
  const find = (): ReturnType<typeof handlersOf> => handlersOf(settings, { discovery, scanner, contexts });
  const subscriptions = new CompatSubscriptions(settings, handling, publishing, find);
  messaging.foreign.push(subscriptions);
  const { RpcTimeoutError: timeoutError = RpcTimeoutError } = peer() ?? {};
  return { connection: new AmqpConnection(messaging, settings, publishing, subscriptions, timeoutError) };
}

function withoutConnection(): DynamicModule {
  const tokens = [AmqpConnection, ...(peer() ? [peer()!.AmqpConnection] : [])];
  const providers = tokens.map((provide) => ({ provide, useValue: undefined }));
  return { module: GolevelupCompatModule, global: true, providers, exports: tokens };
}

interface Peer {
  readonly AmqpConnection: Type;
  readonly RABBIT_CONFIG_TOKEN: InjectionToken;
  readonly RpcTimeoutError: typeof RpcTimeoutError;
}

let loaded: Peer | undefined | null;

/** golevelup's own package, where the application has it: its class is what its AmqpConnection is injected by. */
function peer(): Peer | undefined {
  if (loaded === undefined) {
    loaded = null;
    for (const from of [import.meta.url, join(process.cwd(), 'index.js')])
      try {
        loaded ??= createRequire(from)('@golevelup/nestjs-rabbitmq') as Peer;
      } catch {
        // It is not installed there.
      }
  }
  return loaded ?? undefined;
}
