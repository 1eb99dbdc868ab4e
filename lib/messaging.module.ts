import {
  type DynamicModule,
  type InjectionToken,
  Module,
  type ModuleMetadata,
  type OptionalFactoryDependency,
  type Provider,
  type Type,
} from '@nestjs/common';
import { DeadLetters } from './dead-letter/dead-letters.js';
import { otherCopiesOf } from './errors/brand.js';
import { InvalidOptionError } from './errors/configuration-errors.js';
import { placed } from './errors/error-place.js';
import { MessagingError } from './errors/messaging-error.js';
import { checkName } from './errors/option-checks.js';
import { assemble } from './messaging.assembly.js';
import { Messaging } from './messaging.js';
import { MessagingExplorer } from './messaging.explorer.js';
import { MessagingIntakeModule } from './messaging.intake.module.js';
import { nestLog } from './messaging.log.js';
import { MessagingLifecycle } from './messaging.lifecycle.js';
import { type MessagingModuleOptions, type ResolvedOptions, resolveOptions } from './messaging.options.js';
import { MESSAGING_SUBSTITUTE, type MessagingSubstitute } from './messaging.substitute.js';
import { Publisher } from './publisher/publisher.js';
import { Requester } from './request/requester.js';
import { getRequesterToken } from './request/requester.tokens.js';
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

/** The default connection's providers once more, for the modules that import the class `MessagingModule` itself, of any copy of the package. */
const ALIASES = [Messaging, Publisher, Requester, DeadLetters].map((type) => ({
  type,
  alias: Symbol.for(`nestjs-messaging:${type.name}`),
}));

/** One connection, as `forRoot` and `forRootAsync` describe it. */
@Module({})
class MessagingConnectionModule {}

/**
 * Connects an application to a broker: import `forRoot` or `forRootAsync` once per connection. Importing the class alone
 * gives what a `forRoot` elsewhere provides globally, and is refused without one.
 */
@Module({
  providers: ALIASES.map(({ type, alias }) => ({
    provide: type,
    inject: [{ token: alias, optional: true }],
    useFactory: (provided: unknown) => provided ?? refuseBareImport(),
  })),
  exports: ALIASES.map(({ type }) => type),
})
export class MessagingModule {
  /** @throws InvalidOptionError for an option of the wrong type or range */
  static forRoot({
    connection,
    isGlobal,
    ...options
  }: MessagingModuleOptions & MessagingRegistration = {}): DynamicModule {
    resolveOptions(options);
    const given: GivenOptions = { options };
    return build({ ...registration(connection, isGlobal) }, [], (token) => [{ provide: token, useValue: given }]);
  }

  /** @throws InvalidOptionError; what is wrong with the options themselves is told when the application starts */
  static forRootAsync({ connection, isGlobal, imports = [], ...source }: MessagingAsyncOptions = {}): DynamicModule {
    const registered = registration(connection, isGlobal);
    return build(registered, imports, (token) => optionProviders(token, source, registered.connection));
  }
}

type Registration = Required<MessagingRegistration>;

/** Options as they were given; `place`: by whom, where an error about them leads to no line of the application. */
interface GivenOptions {
  readonly options: MessagingModuleOptions;
  readonly place?: string;
}

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
  const requester = getRequesterToken(connection);
  const deadLetters = getDeadLettersToken(connection);
  const aliases = connection === DEFAULT_CONNECTION ? ALIASES : [];
  const ofOtherCopies = [messaging, publisher, requester, deadLetters].flatMap(inOtherCopies);
  return {
    module: MessagingConnectionModule,
    global: isGlobal,
    imports: [...imports, MessagingIntakeModule],
    providers: [
      ...optionsOf(optionsToken),
      {
        provide: messaging,
        inject: [optionsToken, { token: MESSAGING_SUBSTITUTE, optional: true }],
        useFactory: (given: GivenOptions, substitute?: MessagingSubstitute) => create(connection, given, substitute),
      },
      { provide: publisher, inject: [messaging], useFactory: ({ publisher: value }: Messaging) => value },
      { provide: requester, inject: [messaging], useFactory: ({ requester: value }: Messaging) => value },
      { provide: deadLetters, inject: [messaging], useFactory: ({ deadLetters: value }: Messaging) => value },
      ...aliases.map(({ type, alias }) => ({ provide: alias, useExisting: type })),
      {
        provide: Symbol(`nestjs-messaging:lifecycle:${connection}`),
        inject: [messaging, MessagingExplorer],
        useFactory: (value: Messaging, explorer: MessagingExplorer) => new MessagingLifecycle(value, explorer),
      },
      ...ofOtherCopies,
    ],
    exports: [messaging, publisher, requester, deadLetters, ...aliases.map(({ alias }) => alias), ...ofOtherCopies],
  };
}

function refuseBareImport(): never {
  throw new InvalidOptionError(
    'MessagingModule',
    MessagingModule,
    'MessagingModule.forRoot({ service, transport, … }) or forRootAsync({ … }) among the imports: the class alone connects to nothing',
  );
}

/** An application can have several copies of the package: the class of another copy gives the instance of this one's. */
function inOtherCopies(token: InjectionToken): Provider[] {
  if (typeof token !== 'function') return [];
  return otherCopiesOf(token as Type).map((provide) => ({ provide, useExisting: token }));
}

function create(connection: string, given: GivenOptions, substitute?: MessagingSubstitute): Messaging {
  const logger = nestLog(connection === DEFAULT_CONNECTION ? 'Messaging' : `Messaging:${connection}`);
  // What is wrong with the options given is told in a test as well.
  const resolved = resolveGiven(given);
  if (!substitute) return new Messaging(connection, resolved, assemble(connection, resolved, logger));
  const substituted = resolveOptions(substitute.substitute(connection, given.options));
  const messaging = new Messaging(connection, substituted, assemble(connection, substituted, logger));
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
  connection: string,
): Provider[] {
  if ([useFactory, useClass, useExisting].filter(Boolean).length !== 1) {
    throw new InvalidOptionError('forRootAsync', undefined, 'exactly one of useFactory, useClass and useExisting');
  }
  const where = connection === DEFAULT_CONNECTION ? 'forRootAsync' : `forRootAsync of the connection «${connection}»`;
  const checked = (source: string, options: unknown): GivenOptions => givenAt(`${where}, ${source}`, options);
  if (useFactory) {
    const factory = useFactory as (...args: unknown[]) => unknown;
    return [
      {
        provide: token,
        inject,
        useFactory: async (...args: unknown[]) => checked('useFactory', await factory(...args)),
      },
    ];
  }
  const fromFactory = async (factory: MessagingOptionsFactory): Promise<GivenOptions> =>
    checked(`${factory.constructor.name}.createMessagingOptions`, await factory.createMessagingOptions());
  if (useExisting) return [{ provide: token, inject: [useExisting], useFactory: fromFactory }];
  return [useClass!, { provide: token, inject: [useClass!], useFactory: fromFactory }];
}

function givenAt(place: string, options: unknown): GivenOptions {
  if (typeof options !== 'object' || options === null)
    throw new InvalidOptionError(place, options, 'an object of options, as forRoot takes it. Is a `return` missing?');
  return { options, place };
}

function resolveGiven({ options, place }: GivenOptions): ResolvedOptions {
  try {
    return resolveOptions(options);
  } catch (error) {
    throw place !== undefined && error instanceof MessagingError ? placed(error, place) : error;
  }
}
