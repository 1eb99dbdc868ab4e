import {
  type DynamicModule,
  type InjectionToken,
  Inject,
  Module,
  type ModuleMetadata,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
  type OnModuleInit,
  type OptionalFactoryDependency,
  type Provider,
} from '@nestjs/common';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { checkName } from '../errors/option-checks.js';
import type { Messaging } from '../messaging.js';
import { deadline } from '../messaging.shutdown.js';
import { DEFAULT_CONNECTION, getMessagingToken } from '../messaging.tokens.js';
import { connectionToken } from '../transport/connection-token.js';
import { type OutboxOptions, resolveOutboxOptions } from './outbox-options.js';
import { Outbox } from './outbox.js';

/** How the module is registered. */
export interface OutboxRegistration {
  /** The connection that messages are sent over. Default: the unnamed one. */
  readonly connection?: string;
  /** Whether `Outbox` can be injected everywhere. Default true. */
  readonly isGlobal?: boolean;
}

/** Options of `forRootAsync`. */
export interface OutboxAsyncOptions extends OutboxRegistration, Pick<ModuleMetadata, 'imports'> {
  readonly inject?: (InjectionToken | OptionalFactoryDependency)[];
  readonly useFactory: (...args: never[]) => OutboxOptions | Promise<OutboxOptions>;
}

/** The injection token of a connection's outbox; the class itself for the default connection. */
export function getOutboxToken(connection?: string): InjectionToken {
  return connectionToken(Outbox, connection);
}

/** Injects the `Outbox` of a named connection. */
export const InjectOutbox = (connection?: string): PropertyDecorator & ParameterDecorator =>
  Inject(getOutboxToken(connection));

/** An outbox in PostgreSQL for one connection, which a `MessagingModule` makes. Import it once per connection. */
@Module({})
export class OutboxModule {
  /** @throws InvalidOptionError */
  static forRoot({ connection, isGlobal, ...options }: OutboxOptions & OutboxRegistration = {}): DynamicModule {
    resolveOutboxOptions(options, tableOf(connection));
    return build({ connection, isGlobal }, [], (token) => ({ provide: token, useValue: options }));
  }

  /** What is wrong with the options is told when the application starts. */
  static forRootAsync({ imports = [], inject = [], useFactory, ...registration }: OutboxAsyncOptions): DynamicModule {
    return build(registration, imports, (token) => ({
      provide: token,
      inject,
      useFactory: useFactory as (...args: unknown[]) => unknown,
    }));
  }
}

function build(
  { connection = DEFAULT_CONNECTION, isGlobal = true }: OutboxRegistration,
  imports: NonNullable<ModuleMetadata['imports']>,
  optionsOf: (token: symbol) => Provider,
): DynamicModule {
  checkName('connection', connection);
  const options = Symbol(`nestjs-messaging:outbox-options:${connection}`);
  const outbox = getOutboxToken(connection);
  const messaging = getMessagingToken(connection);
  return {
    module: OutboxModule,
    global: isGlobal,
    imports,
    providers: [
      optionsOf(options),
      {
        provide: outbox,
        inject: [options, { token: messaging, optional: true }],
        useFactory: (given: OutboxOptions, value?: Messaging) => create(connection, given, value),
      },
      {
        provide: Symbol(`nestjs-messaging:outbox-lifecycle:${connection}`),
        inject: [outbox, { token: messaging, optional: true }],
        useFactory: (value: Outbox, { environment }: Messaging) =>
          new OutboxLifecycle(value, () => deadline(environment.clock, environment.shutdownTimeout)),
      },
    ],
    exports: [outbox],
  };
}

function create(connection: string, options: OutboxOptions, messaging?: Messaging): Outbox {
  if (!messaging)
    throw new InvalidOptionError(
      'OutboxModule',
      undefined,
      `used where a MessagingModule has the connection «${connection}», and is global or imported`,
    );
  const { environment, events, publisher } = messaging;
  return new Outbox(resolveOutboxOptions(options, tableOf(connection)), {
    ...environment,
    connection,
    events,
    publisher,
  });
}

/** Named connections have tables of their own: messages of one must not be sent over another. */
function tableOf(connection: string = DEFAULT_CONNECTION): string {
  return connection === DEFAULT_CONNECTION ? 'outbox' : `outbox_${connection.toLowerCase().replace(/[^a-z0-9]/g, '_')}`;
}

type Deadline = ReturnType<typeof deadline>;

/** It begins when everybody can take what is sent, and ends before anything else of the application does. */
class OutboxLifecycle implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy, OnApplicationShutdown {
  private end: Deadline | undefined;

  constructor(
    private readonly outbox: Outbox,
    private readonly shutdownDeadline: () => Deadline,
  ) {}

  async onModuleInit(): Promise<void> {
    await this.outbox.open();
  }

  onApplicationBootstrap(): void {
    this.outbox.start();
  }

  async onModuleDestroy(): Promise<void> {
    this.end = this.shutdownDeadline();
    await this.outbox.stop(this.end.signal);
  }

  async onApplicationShutdown(): Promise<void> {
    const { signal, cancel } = this.end ?? this.shutdownDeadline();
    await this.outbox.close(signal);
    cancel();
  }
}
