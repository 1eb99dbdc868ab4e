import {
  type DynamicModule,
  type InjectionToken,
  Logger,
  Module,
  type ModuleMetadata,
  type OnApplicationShutdown,
  type OnModuleInit,
  type OptionalFactoryDependency,
  type Provider,
} from '@nestjs/common';
import { type RequeueOptions, resolveRequeueOptions } from './requeue-options.js';
import { RequeueServer } from './requeue-server.js';
import { RequeueService } from './requeue.service.js';

/** Options of `forRootAsync`. */
export interface RequeueAsyncOptions extends Pick<ModuleMetadata, 'imports'> {
  readonly inject?: (InjectionToken | OptionalFactoryDependency)[];
  readonly useFactory: (...args: never[]) => RequeueOptions | Promise<RequeueOptions>;
  /** Whether `RequeueService` can be injected everywhere. Default true. */
  readonly isGlobal?: boolean;
}

const OPTIONS = Symbol('nestjs-messaging:requeue-options');
const SERVER = Symbol('nestjs-messaging:requeue-server');

/**
 * The requeue service inside an application. It starts with the application, whether the server can be reached or not, and
 * ends in `onApplicationShutdown`, after handlers and requests have: call `app.enableShutdownHooks()`.
 */
@Module({})
export class RequeueModule {
  /** @throws InvalidOptionError */
  static forRoot({ isGlobal = true, ...options }: RequeueOptions & { readonly isGlobal?: boolean }): DynamicModule {
    resolveRequeueOptions(options);
    return build(isGlobal, [], { provide: OPTIONS, useValue: options });
  }

  static forRootAsync({ imports = [], inject = [], useFactory, isGlobal = true }: RequeueAsyncOptions): DynamicModule {
    return build(isGlobal, imports, {
      provide: OPTIONS,
      inject,
      useFactory: useFactory as (...args: unknown[]) => unknown,
    });
  }
}

function build(isGlobal: boolean, imports: NonNullable<ModuleMetadata['imports']>, options: Provider): DynamicModule {
  return {
    module: RequeueModule,
    global: isGlobal,
    imports,
    providers: [
      options,
      {
        provide: SERVER,
        inject: [OPTIONS],
        useFactory: (value: RequeueOptions) => new RequeueServer(value, new Logger('Requeue')),
      },
      { provide: RequeueService, inject: [SERVER], useFactory: (server: RequeueServer) => new RequeueService(server) },
      {
        provide: RequeueLifecycle,
        inject: [SERVER],
        useFactory: (server: RequeueServer) => new RequeueLifecycle(server),
      },
    ],
    exports: [RequeueService],
  };
}

class RequeueLifecycle implements OnModuleInit, OnApplicationShutdown {
  constructor(private readonly server: RequeueServer) {}

  async onModuleInit(): Promise<void> {
    await this.server.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.server.stop();
  }
}
