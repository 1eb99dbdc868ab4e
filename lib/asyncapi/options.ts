import { InvalidOptionError, NOT_SHOWN } from '../errors/configuration-errors.js';
import { checkBoolean, checkName, checkPattern, functions, knownKeys, oneOf } from '../errors/option-checks.js';
import { checkPublication, type Publication } from './publishes.decorator.js';

/** What a document says of the application as a whole. */
export interface AsyncApiInfo {
  /** Default: the service. */
  readonly title?: string;
  /** The version of the application. Default: `0.0.0`; the command line takes that of its package.json. */
  readonly version?: string;
  /** In Markdown. */
  readonly description?: string;
}

/** Where a broker is for readers, where that is not what this process is configured with. */
export interface AsyncApiServer {
  readonly host: string;
  readonly pathname?: string;
  readonly title?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
}

/** What of the application is in the document. Default: everything. */
export interface AsyncApiSelection {
  /** Names of connections; the unnamed one is `default`. */
  readonly connections?: readonly string[];
  /** Routes or patterns. */
  readonly routes?: readonly string[];
  readonly actions?: readonly ('send' | 'receive')[];
}

/** Options of `asyncApi`. */
export interface AsyncApiOptions {
  readonly info?: AsyncApiInfo;
  /** By the name of the connection; the unnamed one is `default`. Default: the address each transport is configured with, without credentials. */
  readonly servers?: Readonly<Record<string, AsyncApiServer>>;
  readonly tags?: readonly string[];
  readonly include?: AsyncApiSelection;
  /** What the application publishes, beside what `@Publishes` says. */
  readonly publishes?: readonly Publication[];
  /** The JSON Schema of a class that a handler takes, where its route has no schema. Undefined: there is none. */
  readonly schemaOf?: (payload: abstract new (...args: never[]) => unknown) => object | undefined;
  /** What a schema says that JSON Schema cannot: `fail`, or `any` value. Default `fail`. */
  readonly onUnrepresentable?: 'fail' | 'any';
  /** A handler or publication without a schema is an error. Default false: it is listed in `x-nestjs-messaging-undocumented`. */
  readonly strict?: boolean;
}

export const OPTION_NAMES: readonly (keyof AsyncApiOptions)[] = [
  'info',
  'servers',
  'tags',
  'include',
  'publishes',
  'schemaOf',
  'onUnrepresentable',
  'strict',
];

/** @throws InvalidOptionError */
export function checkOptions(options: AsyncApiOptions): AsyncApiOptions {
  knownKeys('asyncApi', options, OPTION_NAMES);
  const { info = {}, servers = {}, tags = [], include = {}, publishes = [], schemaOf, strict = false } = options;
  knownKeys('info', info, ['title', 'version', 'description']);
  for (const [name, value] of Object.entries(info)) text(`info.${name}`, value);
  if (typeof servers !== 'object') throw new InvalidOptionError('servers', servers, 'an object by connection');
  for (const [name, server] of Object.entries(servers)) {
    knownKeys(`servers.${name}`, server, ['host', 'pathname', 'title', 'description', 'tags']);
    if (/@/.test(text(`servers.${name}.host`, server.host)))
      throw new InvalidOptionError(`servers.${name}.host`, NOT_SHOWN, 'a host without user and password');
    texts(`servers.${name}.tags`, server.tags ?? []);
  }
  texts('tags', tags);
  knownKeys('include', include, ['connections', 'routes', 'actions']);
  texts('include.connections', include.connections ?? []).forEach((one) => checkName('include.connections', one));
  texts('include.routes', include.routes ?? []).forEach((one) => checkPattern('include.routes', one));
  for (const one of include.actions ?? []) oneOf('include.actions', one, ['send', 'receive']);
  if (!Array.isArray(publishes)) throw new InvalidOptionError('publishes', publishes, 'a list of contracts or routes');
  for (const one of publishes as readonly Publication[]) checkPublication('publishes', one);
  if (schemaOf !== undefined) functions('schemaOf', [schemaOf], 'a function');
  oneOf('onUnrepresentable', options.onUnrepresentable ?? 'fail', ['fail', 'any']);
  checkBoolean('strict', strict);
  return options;
}

function text(option: string, value: unknown): string {
  if (typeof value !== 'string' || value === '') throw new InvalidOptionError(option, value, 'a text');
  return value;
}

function texts(option: string, value: readonly string[]): readonly string[] {
  const list: unknown = value;
  if (!Array.isArray(list)) throw new InvalidOptionError(option, list, 'a list of texts');
  for (const one of list) text(option, one);
  return value;
}
