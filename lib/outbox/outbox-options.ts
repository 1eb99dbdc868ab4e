import {
  checkSchema,
  DEFAULT_POSTGRES_URL,
  type PostgresAddress,
  postgresAddress,
  type PostgresClientOptions,
} from '../clients/postgres-address.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { checkBoolean, integerBetween, knownKeys, oneOf, refuseUndefined } from '../errors/option-checks.js';

/** Options of `OutboxModule.forRoot`. */
export interface OutboxOptions {
  /** `postgres://user:password@host:5432/database`, the database of the transactions. Default `postgres://localhost:5432/postgres`. */
  readonly url?: string;
  /** Further options of a client of `pg`: `ssl`, `password` as a function, …. */
  readonly options?: PostgresClientOptions;
  /** Schema of the tables: lower-case letters, digits and `_`, not beginning with a digit. Default `messaging`. */
  readonly schema?: string;
  /** The table, of one service and one connection alone, with names as those of schemas. Default `outbox`, and `outbox_<connection>` for a named connection. */
  readonly table?: string;
  /** Whether the tables are made where they are missing. Default: as `provision` of the connection. */
  readonly provision?: boolean;
  /** False: this process only adds; another one sends. Default true. */
  readonly relay?: boolean;
  /**
   * `key` (default): messages of a key keep the order in which they were added. `transaction`: so do all messages, over all
   * transactions, one at a time; then any transaction that writes, on the whole server, holds them back until it ends.
   */
  readonly order?: 'key' | 'transaction';
  /** Milliseconds between two looks for messages of other processes. Default 100. */
  readonly pollInterval?: number;
  /** Messages that are taken and sent together. Default 100. */
  readonly batchSize?: number;
  /** Batches under way at a time. Each takes a connection to the database. Default 2. */
  readonly concurrency?: number;
  /** Milliseconds for which sent messages are kept in the table `<table>_sent`. Default 0: none. */
  readonly retention?: number;
  /** Milliseconds for which the inbox knows what was handled, to recognise what comes again. Default 604,800,000: a week. */
  readonly handledRetention?: number;
}

/** The options, checked and complete; the credentials stay in the closures of `address`. */
export interface OutboxSettings extends Required<Omit<OutboxOptions, 'url' | 'options' | 'provision'>> {
  readonly provision: boolean | undefined;
  readonly address: PostgresAddress;
}

const KNOWN: readonly (keyof OutboxOptions)[] = [
  'url',
  'options',
  'schema',
  'table',
  'provision',
  'relay',
  'order',
  'pollInterval',
  'batchSize',
  'concurrency',
  'retention',
  'handledRetention',
];

export const OUTBOX_DEFAULTS = {
  url: DEFAULT_POSTGRES_URL,
  schema: 'messaging',
  relay: true,
  order: 'key',
  pollInterval: 100,
  batchSize: 100,
  concurrency: 2,
  retention: 0,
  handledRetention: 604_800_000,
} as const;

/** What is derived from it is longer, and the server's own names are up to 63 bytes. */
const TABLE = /^[a-z_][a-z0-9_]{0,39}$/;
const MAX_RETENTION_MS = 10 * 365 * 86_400_000;

/** `table`: what it is called where the options do not say it. @throws InvalidOptionError */
export function resolveOutboxOptions(options: OutboxOptions, table: string): OutboxSettings {
  knownKeys('outbox', options, KNOWN);
  refuseUndefined('outbox', options, {
    url: `«${OUTBOX_DEFAULTS.url}»`,
    schema: `«${OUTBOX_DEFAULTS.schema}»`,
    table: `«${table}»`,
  });
  const given = {
    ...OUTBOX_DEFAULTS,
    table,
    ...Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
  } as typeof OUTBOX_DEFAULTS & OutboxOptions;
  const whole = (
    name: 'pollInterval' | 'batchSize' | 'concurrency' | 'retention' | 'handledRetention',
    min: number,
    max: number,
  ): number => integerBetween(`outbox.${name}`, given[name], min, max);
  return {
    address: postgresAddress('outbox', given.url, given.options),
    schema: checkSchema('outbox', given.schema),
    table: checkTable(given.table),
    provision: given.provision === undefined ? undefined : checkBoolean('outbox.provision', given.provision),
    relay: checkBoolean('outbox.relay', given.relay),
    order: oneOf('outbox.order', given.order, ['key', 'transaction']),
    pollInterval: whole('pollInterval', 1, 3_600_000),
    batchSize: whole('batchSize', 1, 10_000),
    concurrency: whole('concurrency', 1, 32),
    retention: whole('retention', 0, MAX_RETENTION_MS),
    handledRetention: whole('handledRetention', 60_000, MAX_RETENTION_MS),
  };
}

/** @throws InvalidOptionError */
export function checkTable(table: unknown): string {
  if (typeof table === 'string' && TABLE.test(table)) return table;
  throw new InvalidOptionError(
    'outbox.table',
    table,
    'up to 40 lower-case letters, digits and «_», not beginning with a digit',
  );
}
