import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import type { INestApplicationContext } from '@nestjs/common';
import type { asyncApi } from '../asyncapi/asyncapi.js';
import type { AsyncApiDocument } from '../asyncapi/document.js';
import type { AsyncApiOptions } from '../asyncapi/options.js';
import type { unconnectedApplication } from '../asyncapi/unconnected.js';
import { errorMessage } from '../errors/redact.js';
import { printable } from '../errors/printable.js';
import type { Console } from './command.js';
import { type Flag, type FlagValues, given, textOf, UsageError } from './flags.js';

/** The entry `nestjs-messaging/asyncapi`, of the copy of the package that the application uses. */
interface AsyncApiEntry {
  readonly asyncApi: typeof asyncApi;
  readonly unconnectedApplication: typeof unconnectedApplication;
}

type RootModule = Parameters<typeof unconnectedApplication>[0];

export const APPLICATION: readonly Flag[] = [
  {
    name: 'app',
    value: 'file#name',
    what: 'compiled file of the root module, and its name there (default AppModule, or the only class); required',
  },
  { name: 'title', value: 'text', what: 'title of the document', default: 'the service' },
  { name: 'app-version', value: 'version', what: 'version of the application', default: 'that of its package.json' },
  { name: 'strict', what: 'a handler without a schema is an error' },
];

export const APPLICATION_NOTES =
  'The providers of the application are made, its hooks are not run: no broker is asked. What a provider does in its\nconstructor or asynchronous factory it does here, too.';

/** @throws UsageError, MessagingError */
export async function documentOf(values: FlagValues, { stderr }: Console): Promise<AsyncApiDocument> {
  const [path, name] = splitName(textOf(values, 'app'));
  const file = resolve(path);
  if (!existsSync(file)) throw new UsageError(`--app: there is no file ${file}; build the application first`);
  const load = createRequire(file);
  const module = moduleOf(loaded<Record<string, unknown>>(load, file), path, name);
  const entry = loaded<AsyncApiEntry>(load, 'nestjs-messaging/asyncapi');
  const app = await entry.unconnectedApplication(module);
  try {
    return entry.asyncApi(app, optionsOf(values, file));
  } finally {
    await closed(app, (text) => stderr.write(`${printable(text)}\n`));
  }
}

function splitName(app: string | undefined): [string, string | undefined] {
  if (app === undefined || app === '') throw new UsageError('--app is required: --app dist/app.module.js#AppModule');
  const at = app.lastIndexOf('#');
  return at < 0 ? [app, undefined] : [app.slice(0, at), app.slice(at + 1)];
}

function loaded<T>(load: NodeJS.Require, what: string): T {
  try {
    return load(what) as T;
  } catch (error) {
    throw new UsageError(`--app: ${what} cannot be loaded: ${errorMessage(error).split('\n')[0]}`);
  }
}

function moduleOf(exported: Record<string, unknown>, path: string, name: string | undefined): RootModule {
  const classes = Object.entries(exported).filter(([, value]) => typeof value === 'function');
  const wanted = name ?? (classes.length === 1 ? classes[0][0] : 'AppModule');
  const found = classes.find(([key]) => key === wanted);
  if (found) return found[1] as RootModule;
  const names = classes.map(([key]) => key).join(', ') || 'none';
  throw new UsageError(`--app: ${path} exports no class «${wanted}»; there are: ${names}. Write --app ${path}#name`);
}

function optionsOf(values: FlagValues, file: string): AsyncApiOptions {
  const version = textOf(values, 'app-version') ?? versionAbove(dirname(file));
  return {
    info: given({ title: textOf(values, 'title'), version }),
    ...(values.strict === true && { strict: true }),
  };
}

/** Of the nearest package.json. */
function versionAbove(folder: string): string | undefined {
  const file = join(folder, 'package.json');
  const { version } = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { version?: string }) : {};
  if (version !== undefined) return version;
  return dirname(folder) === folder ? undefined : versionAbove(dirname(folder));
}

/** Its providers were not started: one that cannot be ended so is told, and no reason to fail. */
async function closed(app: INestApplicationContext, tell: (text: string) => void): Promise<void> {
  try {
    await app.close();
  } catch (error) {
    tell(`The application could not be closed: ${errorMessage(error)}`);
  }
}
