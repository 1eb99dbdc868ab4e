import {
  type DynamicModule,
  type InjectionToken,
  Logger,
  Module,
  type ModuleMetadata,
  type OptionalFactoryDependency,
  type Provider,
  type Type,
} from '@nestjs/common';
import { InvalidOptionError } from './errors/configuration-errors.js';
import { checkName } from './errors/option-checks.js';
import { Messaging } from './messaging.js';
import { MessagingExplorer } from './messaging.explorer.js';
import { MessagingIntakeModule } from './messaging.intake.module.js';
import { MessagingLifecycle } from './messaging.lifecycle.js';
import { type MessagingModuleOptions, resolveOptions } from './messaging.options.js';
import { MESSAGING_SUBSTITUTE, type MessagingSubstitute } from './messaging.substitute.js';
import { DEFAULT_CONNECTION, getDeadLettersToken, getMessagingToken, getPublisherToken } from './messaging.tokens.js';

/** Options of `forRoot` that say how the module is registered. */
export interface MessagingRegistration {
  /** The connection's name, where an application has several. Default: the unnamed one. */
  readonly connection?: string;
  /** Whether its providers can be injected everywhere. Default true. */
  readonly isGlobal?: boolean;
}

/** Makes the options; for `useClass` and `useExisting`. */
export interface MessagingOptionsFactory {
  createMessagingOptions(): MessagingModuleOptions | Promise<MessagingModuleOptions>;
}

/** Options of `forRootAsync`: one of `useFactory`, `useClass` and `useExisting`. */
export interface MessagingAsyncOptions extends MessagingRegistration, Pick<ModuleMetadata, 'imports'> {
  readonly useFactory?: (...args: never[]) => MessagingModuleOptions | Promise<MessagingModuleOptions>;
  readonly inject?: (InjectionToken | OptionalFactoryDependency)[];
  readonly useClass?: Type<MessagingOptionsFactory>;
  readonly useExisting?: InjectionToken<MessagingOptionsFactory>;
}

/** Connects an application to a broker: import `forRoot` or `forRootAsync` once per connection. */
@Module({})
export class MessagingModule {
  /** @throws InvalidOptionError for an option of the wrong type or range */
  static forRoot({
    connection,
    isGlobal,
    ...options
  }: MessagingModuleOptions & MessagingRegistration = {}): DynamicModule {
    resolveOptions(options);
    return build({ ...registration(connection, isGlobal) }, [], (token) => [{ provide: token, useValue: options }]);
  }

  static forRootAsync({ connection, isGlobal, imports = [], ...source }: MessagingAsyncOptions): DynamicModule {
    return build(registration(connection, isGlobal), imports, (token) => optionProviders(token, source));
  }
}

type Registration = Required<MessagingRegistration>;

function registration(connection: string | undefined, isGlobal: boolean | undefined): Registration {
  return {
    connection: connection === undefined ? DEFAULT_CONNECTION : checkName('connection', connection),
    isGlobal: isGlobal ?? true,
  };
}

function build(
  { connection, isGlobal }: Registration,
  imports: NonNullable<ModuleMetadata['imports']>,
  optionsOf: (token: symbol) => Provider[],
): DynamicModule {
  const optionsToken = Symbol(`nestjs-messaging:options:${connection}`);
  const messaging = getMessagingToken(connection);
  const publisher = getPublisherToken(connection);
  const deadLetters = getDeadLettersToken(connection);
  return {
    module: MessagingModule,
    global: isGlobal,
    imports: [...imports, MessagingIntakeModule],
    providers: [
      ...optionsOf(optionsToken),
      {
        provide: messaging,
        inject: [optionsToken, { token: MESSAGING_SUBSTITUTE, optional: true }],
        useFactory: (options: MessagingModuleOptions, substitute?: MessagingSubstitute) =>
          create(connection, options, substitute),
      },
      { provide: publisher, inject: [messaging], useFactory: ({ publisher: value }: Messaging) => value },
      { provide: deadLetters, inject: [messaging], useFactory: ({ deadLetters: value }: Messaging) => value },
      {
        provide: Symbol(`nestjs-messaging:lifecycle:${connection}`),
        inject: [messaging, MessagingExplorer],
        useFactory: (value: Messaging, explorer: MessagingExplorer) => new MessagingLifecycle(value, explorer),
      },
    ],
    exports: [messaging, publisher, deadLetters],
  };
}

function create(connection: string, options: MessagingModuleOptions, substitute?: MessagingSubstitute): Messaging {
  const logger = new Logger(connection === DEFAULT_CONNECTION ? 'Messaging' : `Messaging:${connection}`);
  // What is wrong with them is told in a test as well.
  const resolved = resolveOptions(options);
  if (!substitute) return new Messaging(connection, resolved, logger);
  const messaging = new Messaging(connection, resolveOptions(substitute.substitute(connection, options)), logger);
  substitute.created(messaging);
  return messaging;
}

function optionProviders(
  token: symbol,
  {
    useFactory,
    inject = [],
    useClass,
    useExisting,
  }: Omit<MessagingAsyncOptions, keyof MessagingRegistration | 'imports'>,
): Provider[] {
  if ([useFactory, useClass, useExisting].filter(Boolean).length !== 1) {
    throw new InvalidOptionError('forRootAsync', undefined, 'exactly one of useFactory, useClass and useExisting');
  }
  if (useFactory) return [{ provide: token, inject, useFactory: useFactory as (...args: unknown[]) => unknown }];
  const fromFactory = (factory: MessagingOptionsFactory): unknown => factory.createMessagingOptions();
  if (useExisting) return [{ provide: token, inject: [useExisting], useFactory: fromFactory }];
  return [useClass!, { provide: token, inject: [useClass!], useFactory: fromFactory }];
}
