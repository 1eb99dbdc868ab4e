import { type DynamicModule, Logger, Module } from '@nestjs/common';
import { knownKeys, refuseUndefined } from '../errors/option-checks.js';
import { checkPath, checkProtection } from '../web/protection.js';
import {
  checkGuards,
  type GuardedOptions,
  type SiteAsyncOptions,
  type SiteDefinition,
  siteModule,
} from '../web/site.module.js';
import { asyncApi } from './asyncapi.js';
import { DocumentSite } from './document-site.js';
import { type AsyncApiOptions, checkOptions, OPTION_NAMES } from './options.js';

/** Options of the document's page: those of the document, and who may see it. */
export interface AsyncApiModuleOptions extends AsyncApiOptions, GuardedOptions {
  /** Where the page is. Default `/asyncapi`. */
  readonly path?: string;
  /** Instead of guards, 32 characters or more: a bearer token, or the password of any user. */
  readonly token?: string;
  /** Open to whoever reaches the application: for development. Refused where `NODE_ENV` is `production`. Default false. */
  readonly insecure?: boolean;
}

/** Options of `forRootAsync`. The path is said here, for routes are known before options are. */
export type AsyncApiModuleAsyncOptions = SiteAsyncOptions<AsyncApiModuleOptions>;

const DEFAULT_PATH = '/asyncapi';

/**
 * Serves the document of the application it is imported in: a page at its path, `asyncapi.json` and `asyncapi.yaml` below,
 * and JSON at the path for whoever accepts just that. On Express and on Fastify.
 */
@Module({})
export class AsyncApiModule {
  /** @throws InvalidOptionError without `guards`, `token` or `insecure`, and for an option of the wrong type or range */
  static forRoot(options: AsyncApiModuleOptions): DynamicModule {
    check(options);
    return siteModule(site, pathOf(options), { useFactory: () => options });
  }

  /** @throws InvalidOptionError for a path; what is wrong with the options is told when the application starts */
  static forRootAsync(options: AsyncApiModuleAsyncOptions): DynamicModule {
    return siteModule(site, pathOf(options), options);
  }
}

const site: SiteDefinition<AsyncApiModuleOptions> = {
  module: AsyncApiModule,
  check,
  open: ({ guards: _, path, token, insecure: __, ...options }, moduleRef) =>
    new DocumentSite({
      path: pathOf({ path }),
      token,
      document: () => asyncApi(moduleRef, options),
      warn: (message) => new Logger('AsyncApi').warn(message),
    }),
};

function check(options: AsyncApiModuleOptions): void {
  knownKeys('asyncApi', options, [...OPTION_NAMES, 'guards', 'path', 'token', 'insecure']);
  refuseUndefined('asyncApi', options, { token: 'guards' });
  const { guards, path, token, insecure, ...document } = options;
  const count = checkGuards('asyncApi', guards).length;
  pathOf({ path });
  checkProtection(
    'asyncApi',
    { token, insecure },
    count > 0,
    'the document tells what the application sends and where',
  );
  checkOptions(document);
}

function pathOf({ path }: { readonly path?: string }): string {
  return checkPath('asyncApi', path, DEFAULT_PATH);
}
