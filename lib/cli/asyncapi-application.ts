import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { asyncApi } from '../asyncapi/asyncapi.js';
import type { AsyncApiDocument } from '../asyncapi/document.js';
import type { AsyncApiOptions } from '../asyncapi/options.js';
import type { unconnectedApplication } from '../asyncapi/unconnected.js';
import { APP, APP_NOTES, withApplication } from './application.js';
import type { Console } from './command.js';
import { type Flag, type FlagValues, given, textOf } from './flags.js';

/** The entry `nestjs-messaging/asyncapi`. */
interface AsyncApiEntry {
  readonly asyncApi: typeof asyncApi;
  readonly unconnectedApplication: typeof unconnectedApplication;
}

export const APPLICATION: readonly Flag[] = [
  APP,
  { name: 'title', value: 'text', what: 'title of the document', default: 'the service' },
  { name: 'app-version', value: 'version', what: 'version of the application', default: 'that of its package.json' },
  { name: 'strict', what: 'a handler without a schema is an error' },
];

export const APPLICATION_NOTES = `${APP_NOTES} No broker is asked.`;

/** @throws UsageError, MessagingError */
export async function documentOf(values: FlagValues, console: Console): Promise<AsyncApiDocument> {
  return withApplication(values, console, 'nestjs-messaging/asyncapi', (app, entry: AsyncApiEntry, file) =>
    entry.asyncApi(app, optionsOf(values, file)),
  );
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
