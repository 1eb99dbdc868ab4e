import {
  All,
  type ArgumentsHost,
  type CanActivate,
  Catch,
  Controller,
  type DynamicModule,
  type ExceptionFilter,
  type ExecutionContext,
  HttpException,
  HttpStatus,
  Inject,
  type InjectionToken,
  Module,
  type ModuleMetadata,
  type OnModuleDestroy,
  type OnModuleInit,
  type OptionalFactoryDependency,
  type Provider,
  Req,
  Res,
  type Type,
  UseFilters,
  UseGuards,
  VERSION_NEUTRAL,
} from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { firstValueFrom, isObservable } from 'rxjs';
import { answered } from '../clock/answered.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import type { Messaging } from '../messaging.js';
import { messagingOf } from '../messaging.lookup.js';
import { empty } from './answers.js';
import { checkPath, type DashboardOptions, type ResolvedDashboard, resolveDashboard } from './dashboard-options.js';
import { Dashboard } from './dashboard.js';
import { callOf, type PlatformRequest, type PlatformResponse, send } from './node-call.js';

/** Options of the dashboard in a Nest application. */
export interface MessagingDashboardOptions<R = PlatformRequest> extends DashboardOptions<R> {
  /** Of the application, instances or classes; asked one after the other, beside its global ones. */
  readonly guards?: readonly (CanActivate | Type<CanActivate>)[];
  /** The connection, where an application has several. Default: the unnamed one. */
  readonly connection?: string;
}

/** Options of `forRootAsync`. The path is said here, for routes are known before options are. */
export interface MessagingDashboardAsyncOptions<R = PlatformRequest> extends Pick<ModuleMetadata, 'imports'> {
  readonly path?: string;
  readonly inject?: (InjectionToken | OptionalFactoryDependency)[];
  readonly useFactory: (
    ...args: never[]
  ) => Omit<MessagingDashboardOptions<R>, 'path'> | Promise<Omit<MessagingDashboardOptions<R>, 'path'>>;
}

type Given = MessagingDashboardOptions<never>;

const GUARD_MS = 2_000;
/** What comes behind the path: as many segments as the API has. No wildcard is written alike for all platforms. */
const NAMES = ['a', 'b', 'c', 'd', 'e'];
const ROUTES = [
  '',
  ...NAMES.map((_, at) =>
    NAMES.slice(0, at + 1)
      .map((name) => `:${name}`)
      .join('/'),
  ),
];

/** Serves the dashboard in a Nest application, on Express and on Fastify. Import `forRoot` or `forRootAsync`. */
@Module({})
export class MessagingDashboardModule {
  /** @throws InvalidOptionError without `guards`, `token` or `insecure`, and for an option of the wrong type or range */
  static forRoot<R = PlatformRequest>(options: MessagingDashboardOptions<R>): DynamicModule {
    const resolved = resolveGiven(options);
    const token = Symbol('nestjs-messaging:dashboard-options');
    return build(resolved.path, [], token, { provide: token, useValue: options });
  }

  /** @throws InvalidOptionError for a path; what is wrong with the options is told when the application starts */
  static forRootAsync<R = PlatformRequest>({
    path,
    imports = [],
    inject = [],
    useFactory,
  }: MessagingDashboardAsyncOptions<R>): DynamicModule {
    const token = Symbol('nestjs-messaging:dashboard-options');
    const factory = useFactory as (...args: unknown[]) => unknown;
    return build(checkPath(path), imports, token, {
      provide: token,
      inject,
      useFactory: async (...args: unknown[]) => ({ ...((await factory(...args)) as Given), path }),
    });
  }
}

function resolveGiven<R>(options: MessagingDashboardOptions<R>): ResolvedDashboard {
  const { guards, connection } = options;
  if (guards !== undefined && (!Array.isArray(guards) || guards.some((guard) => !isGuard(guard))))
    throw new InvalidOptionError('dashboard.guards', guards, 'a list of Nest guards, classes or instances');
  if (connection !== undefined && typeof connection !== 'string')
    throw new InvalidOptionError('dashboard.connection', connection, 'the name of a connection');
  return resolveDashboard(options, ['guards', 'connection'], (guards ?? []).length > 0);
}

function isGuard(guard: unknown): boolean {
  if (typeof guard === 'function') return true;
  return (
    typeof guard === 'object' && guard !== null && 'canActivate' in guard && typeof guard.canActivate === 'function'
  );
}

function build(
  path: string,
  imports: NonNullable<ModuleMetadata['imports']>,
  token: symbol,
  options: Provider,
): DynamicModule {
  const mounted = Symbol('nestjs-messaging:dashboard');
  return {
    module: MessagingDashboardModule,
    imports,
    providers: [
      options,
      {
        provide: mounted,
        inject: [token, ModuleRef],
        useFactory: (given: Given, moduleRef: ModuleRef) => new MountedDashboard(given, moduleRef),
      },
    ],
    controllers: [controllerAt(path, mounted)],
  };
}

/** The dashboard of one module, and the guards before it. */
class MountedDashboard implements OnModuleInit, OnModuleDestroy {
  dashboard!: Dashboard;
  private guards: CanActivate[] = [];
  private messaging!: Messaging;
  private readonly resolved: ResolvedDashboard;

  constructor(
    private readonly given: Given,
    private readonly moduleRef: ModuleRef,
  ) {
    this.resolved = resolveGiven(given);
  }

  async onModuleInit(): Promise<void> {
    const { connection, guards = [] } = this.given;
    this.messaging = messagingOf(this.moduleRef, 'dashboard.connection', connection);
    this.dashboard = new Dashboard(this.messaging, this.resolved);
    this.guards = await Promise.all(guards.map((guard) => this.instanceOf(guard)));
  }

  /** While the server still listens: it waits for open streams. */
  onModuleDestroy(): void {
    this.dashboard?.close();
  }

  async admits(context: ExecutionContext): Promise<boolean> {
    const { clock } = this.messaging.environment;
    try {
      for (const guard of this.guards) {
        if (!(await answered(admission(guard, context), { clock, ms: GUARD_MS }))) return false;
      }
      return true;
    } catch {
      return false;
    }
  }

  private async instanceOf(guard: CanActivate | Type<CanActivate>): Promise<CanActivate> {
    if (typeof guard !== 'function') return guard;
    try {
      return this.moduleRef.get(guard, { strict: false });
    } catch {
      return this.moduleRef.create(guard);
    }
  }
}

async function admission(guard: CanActivate, context: ExecutionContext): Promise<boolean> {
  const admitted = await guard.canActivate(context);
  return isObservable(admitted) ? firstValueFrom(admitted) : admitted;
}

/** Whoever is not let in learns nothing. */
@Catch()
class EmptyAnswers implements ExceptionFilter {
  async catch(error: unknown, host: ArgumentsHost): Promise<void> {
    const http = host.switchToHttp();
    const response = http.getResponse<PlatformResponse & { readonly headersSent?: boolean }>();
    if (response.raw?.headersSent ?? response.headersSent) return;
    const status = error instanceof HttpException ? error.getStatus() : HttpStatus.FORBIDDEN;
    await send(response, empty(status), http.getRequest<PlatformRequest>().method);
  }
}

function controllerAt(path: string, mounted: symbol): Type {
  class Guard implements CanActivate {
    constructor(private readonly own: MountedDashboard) {}

    async canActivate(context: ExecutionContext): Promise<boolean> {
      return this.own.admits(context);
    }
  }
  Inject(mounted)(Guard, undefined, 0);

  @UseFilters(EmptyAnswers)
  @UseGuards(Guard)
  @Controller({ path, version: VERSION_NEUTRAL })
  class MessagingDashboardController {
    constructor(@Inject(mounted) private readonly own: Pick<MountedDashboard, 'dashboard'>) {}

    @All(ROUTES)
    async answer(@Req() request: unknown, @Res() response: unknown): Promise<void> {
      const asked = request as PlatformRequest;
      const answer = await this.own.dashboard.handle(callOf(asked, NAMES));
      await send(response as PlatformResponse, answer, asked.method);
    }
  }
  return MessagingDashboardController;
}
