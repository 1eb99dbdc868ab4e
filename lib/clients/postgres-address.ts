import type { ClientConfig } from 'pg';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { refuseUnset } from '../errors/option-checks.js';
import { percentDecoded, redactor, redactUrl } from '../errors/redactor.js';

/** Further options of a client of `pg`: `ssl`, `password` as a function, `application_name`, …. */
export type PostgresClientOptions = Readonly<
  Omit<ClientConfig, 'connectionString' | 'host' | 'port' | 'database' | 'options'>
>;

/** Where the server is. The credentials live in the closures only, so that no inspected object shows them. */
export interface PostgresAddress {
  /** `host:port/database`. */
  readonly host: string;
  /** For a new client. */
  config(): ClientConfig;
  /** Takes the credentials out of a text. */
  redact(text: string): string;
}

/** What leaving out the URL means. */
export const DEFAULT_POSTGRES_URL = 'postgres://localhost:5432/postgres';

/** The server's own names are up to 63 bytes long; what is derived from the schema is longer than it. */
const SCHEMA = /^[a-z_][a-z0-9_]{0,47}$/;

/** `settings`: what each connection is to be set to, none where a pooler is in between. @throws InvalidOptionError */
export function postgresAddress(
  option: string,
  text: unknown,
  native: PostgresClientOptions = {},
  settings: readonly string[] = [],
): PostgresAddress {
  if (typeof text !== 'string' || !/^postgres(ql)?:\/\//.test(text) || !URL.canParse(text))
    throw new InvalidOptionError(
      `${option}.url`,
      typeof text === 'string' ? redactUrl(text) : text,
      'postgres://user:password@host:port/database',
    );
  if (typeof native !== 'object' || native === null)
    throw new InvalidOptionError(`${option}.options`, `a ${typeof native}`, 'an object');
  const url = new URL(text);
  refuseUnset(`${option}.url`, url);
  const password = percentDecoded(url.password);
  return {
    host: `${url.hostname}:${url.port || 5432}${url.pathname}`,
    redact: redactor([password, url.password, typeof native.password === 'string' ? native.password : undefined]),
    config: () => ({
      keepAlive: true,
      connectionTimeoutMillis: 10_000,
      ...native,
      connectionString: text,
      ...(settings.length > 0 && { options: settings.map((setting) => `-c ${setting}`).join(' ') }),
    }),
  };
}

/** The name of a schema, as options give it. @throws InvalidOptionError */
export function checkSchema(option: string, schema: unknown): string {
  if (typeof schema === 'string' && SCHEMA.test(schema) && !schema.startsWith('pg_')) return schema;
  throw new InvalidOptionError(
    `${option}.schema`,
    schema,
    'up to 48 lower-case letters, digits and «_», not beginning with a digit or «pg_»',
  );
}

/** A name that options give, in a statement. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** The statement that makes a schema, as `checkSchema` gives it. Where it is there no right to make one is asked for. */
export function schemaSql(schema: string): string {
  const isMissing = `not exists (select from pg_namespace where nspname = '${schema}')`;
  return `do $$ begin if ${isMissing} then create schema if not exists ${quoted(schema)}; end if; end $$`;
}
