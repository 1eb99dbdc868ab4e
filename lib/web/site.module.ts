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
  type ModuleMetadata,
  type OnModuleDestroy,
  type OnModuleInit,
  type OptionalFactoryDependency,
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
import type { Clock } from '../clock/clock.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { empty } from './answers.js';
import { callOf, type PlatformRequest, type PlatformResponse, send } from './node-call.js';
import type { WebCall } from './request-checks.js';

/** What answers the requests of one path. */
export interface Site {
  readonly clock: Clock;
  /** It answers whatever happens. */
  handle(call: WebCall): Promise<Response>;
  close(): void;
}

/** What every module of pages takes. */
export interface GuardedOptions {
  /** Of the application, instances or classes; asked one after the other, beside its global ones. */
  readonly guards?: readonly (CanActivate | Type<CanActivate>)[];
}

/** What `forRootAsync` of such a module takes. The path is said here, for routes are known before options are. */
export interface SiteAsyncOptions<O> extends Pick<ModuleMetadata, 'imports'> {
  readonly path?: string;
  readonly inject?: (InjectionToken | OptionalFactoryDependency)[];
  readonly useFactory: (...args: never[]) => Omit<O, 'path'> | Promise<Omit<O, 'path'>>;
}

/** How a module of pages is made. */
export interface SiteDefinition<O> {
  readonly module: Type;
  /** @throws InvalidOptionError, when the module is made or, of `forRootAsync`, when its options are there */
  check(options: O): void;
  open(options: O, moduleRef: ModuleRef): Site;
}

const GUARD_MS = 2_000;
/** What comes behind the path: as many segments as any of the pages has. No wildcard is written alike for all platforms. */
const NAMES = ['a', 'b', 'c', 'd', 'e'];
const ROUTES = [
  '',
  ...NAMES.map((_, at) =>
    NAMES.slice(0, at + 1)
      .map((name) => `:${name}`)
      .join('/'),
  ),
];

/** Serves pages in a Nest application, on Express and on Fastify, behind the guards of their options. */
export function siteModule<O extends GuardedOptions>(
  definition: SiteDefinition<O>,
  path: string,
  { imports = [], inject = [], useFactory }: SiteAsyncOptions<O>,
): DynamicModule {
  const token = Symbol('nestjs-messaging:site-options');
  const mounted = Symbol('nestjs-messaging:site');
  const factory = useFactory as (...args: unknown[]) => unknown;
  return {
    module: definition.module,
    imports,
    providers: [
      {
        provide: token,
        inject,
        useFactory: async (...args: unknown[]) => ({ ...((await factory(...args)) as O), path }),
      },
      {
        provide: mounted,
        inject: [token, ModuleRef],
        useFactory: (given: O, moduleRef: ModuleRef) => new MountedSite(definition, given, moduleRef),
      },
    ],
    controllers: [controllerAt(path, mounted)],
  };
}

/** `of` is the name of the options in errors. @throws InvalidOptionError */
export function checkGuards(of: string, guards: unknown = []): readonly unknown[] {
  if (!Array.isArray(guards) || guards.some((guard) => !isGuard(guard)))
    throw new InvalidOptionError(`${of}.guards`, guards, 'a list of Nest guards, classes or instances');
  return guards;
}

function isGuard(guard: unknown): boolean {
  if (typeof guard === 'function') return true;
  return (
    typeof guard === 'object' && guard !== null && 'canActivate' in guard && typeof guard.canActivate === 'function'
  );
}

/** The pages of one module, and the guards before them. */
class MountedSite<O extends GuardedOptions> implements OnModuleInit, OnModuleDestroy {
  site!: Site;
  private guards: CanActivate[] = [];

  constructor(
    private readonly definition: SiteDefinition<O>,
    private readonly given: O,
    private readonly moduleRef: ModuleRef,
  ) {
    definition.check(given);
  }

  async onModuleInit(): Promise<void> {
    this.site = this.definition.open(this.given, this.moduleRef);
    this.guards = await Promise.all((this.given.guards ?? []).map((guard) => this.instanceOf(guard)));
  }

  /** While the server still listens: it waits for open streams. */
  onModuleDestroy(): void {
    this.site?.close();
  }

  async admits(context: ExecutionContext): Promise<boolean> {
    const { clock } = this.site;
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
    constructor(private readonly own: MountedSite<never>) {}

    async canActivate(context: ExecutionContext): Promise<boolean> {
      return this.own.admits(context);
    }
  }
  Inject(mounted)(Guard, undefined, 0);

  @UseFilters(EmptyAnswers)
  @UseGuards(Guard)
  @Controller({ path, version: VERSION_NEUTRAL })
  class SiteController {
    constructor(@Inject(mounted) private readonly own: Pick<MountedSite<never>, 'site'>) {}

    @All(ROUTES)
    async answer(@Req() request: unknown, @Res() response: unknown): Promise<void> {
      const asked = request as PlatformRequest;
      const answer = await this.own.site.handle(callOf(asked, NAMES));
      await send(response as PlatformResponse, answer, asked.method);
    }
  }
  return SiteController;
}
