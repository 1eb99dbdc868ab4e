import { type DynamicModule, Module } from '@nestjs/common';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { messagingOf } from '../messaging.lookup.js';
import type { PlatformRequest } from '../web/node-call.js';
import { checkPath } from '../web/protection.js';
import {
  checkGuards,
  type GuardedOptions,
  type SiteAsyncOptions,
  type SiteDefinition,
  siteModule,
} from '../web/site.module.js';
import { DEFAULT_PATH, type DashboardOptions, type ResolvedDashboard, resolveDashboard } from './dashboard-options.js';
import { Dashboard } from './dashboard.js';

/** Options of the dashboard in a Nest application. */
export interface MessagingDashboardOptions<R = PlatformRequest> extends DashboardOptions<R>, GuardedOptions {
  /** The connection, where an application has several. Default: the unnamed one. */
  readonly connection?: string;
}

/** Options of `forRootAsync`. The path is said here, for routes are known before options are. */
export type MessagingDashboardAsyncOptions<R = PlatformRequest> = SiteAsyncOptions<MessagingDashboardOptions<R>>;

/** Serves the dashboard in a Nest application, on Express and on Fastify. Import `forRoot` or `forRootAsync`. */
@Module({})
export class MessagingDashboardModule {
  /** @throws InvalidOptionError without `guards`, `token` or `insecure`, and for an option of the wrong type or range */
  static forRoot<R = PlatformRequest>(options: MessagingDashboardOptions<R>): DynamicModule {
    const { path } = resolveGiven(options);
    return siteModule(dashboard, path, { useFactory: () => options as MessagingDashboardOptions<never> });
  }

  /** @throws InvalidOptionError for a path; what is wrong with the options is told when the application starts */
  static forRootAsync<R = PlatformRequest>(options: MessagingDashboardAsyncOptions<R>): DynamicModule {
    const path = checkPath('dashboard', options.path, DEFAULT_PATH);
    return siteModule(dashboard, path, options as SiteAsyncOptions<MessagingDashboardOptions<never>>);
  }
}

const dashboard: SiteDefinition<MessagingDashboardOptions<never>> = {
  module: MessagingDashboardModule,
  check: resolveGiven,
  open: (given, moduleRef) =>
    new Dashboard(messagingOf(moduleRef, 'dashboard.connection', given.connection), resolveGiven(given)),
};

function resolveGiven(options: MessagingDashboardOptions<never>): ResolvedDashboard {
  const { guards, connection } = options;
  const count = checkGuards('dashboard', guards).length;
  if (connection !== undefined && typeof connection !== 'string')
    throw new InvalidOptionError('dashboard.connection', connection, 'the name of a connection');
  return resolveDashboard(options, ['guards', 'connection'], count > 0);
}
