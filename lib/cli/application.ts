import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import type { INestApplicationContext } from '@nestjs/common';
import type { unconnectedApplication } from '../asyncapi/unconnected.js';
import { errorMessage } from '../errors/redact.js';
import { printable } from '../errors/printable.js';
import type { Console } from './command.js';
import { type Flag, type FlagValues, textOf, UsageError } from './flags.js';

type RootModule = Parameters<typeof unconnectedApplication>[0];

/** What an entry of the package has that applications are loaded with. */
interface Loads {
  readonly unconnectedApplication: typeof unconnectedApplication;
}

export const APP: Flag = {
  name: 'app',
  value: 'file#name',
  what: 'compiled file of the root module, and its name there (default AppModule, or the only class); required',
};

export const APP_NOTES =
  'The providers of the application are made, its hooks are not run. What a provider does in its constructor or asynchronous\nfactory it does here, too.';

/**
 * Makes the application without connecting it, and ends it. `entry`: of the package, in the copy that the application uses.
 * @throws UsageError, and what `work` throws
 */
export async function withApplication<E extends Loads, T>(
  values: FlagValues,
  { stderr }: Console,
  entry: string,
  work: (app: INestApplicationContext, loaded: E, file: string) => Promise<T> | T,
): Promise<T> {
  const [path, name] = splitName(textOf(values, 'app'));
  const file = resolve(path);
  if (!existsSync(file)) throw new UsageError(`--app: there is no file ${file}; build the application first`);
  const load = createRequire(file);
  const module = moduleOf(loaded<Record<string, unknown>>(load, file), path, name);
  const own = loaded<E>(load, entry);
  const app = await own.unconnectedApplication(module);
  try {
    return await work(app, own, file);
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

/** Its providers were not started: one that cannot be ended so is told, and no reason to fail. */
async function closed(app: INestApplicationContext, tell: (text: string) => void): Promise<void> {
  try {
    await app.close();
  } catch (error) {
    tell(`The application could not be closed: ${errorMessage(error)}`);
  }
}
