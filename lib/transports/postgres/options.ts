import {
  checkSchema,
  DEFAULT_POSTGRES_URL,
  type PostgresAddress,
  postgresAddress,
  type PostgresClientOptions,
} from '../../clients/postgres-address.js';
import {
  checkBoolean,
  checkShortText,
  integerBetween,
  knownKeys,
  refuseUndefined,
} from '../../errors/option-checks.js';

/** Options of `postgres({…})`. */
export interface PostgresOptions {
  /** `postgres://user:password@host:5432/database`. Default `postgres://localhost:5432/postgres`. */
  readonly url?: string;
  /** Further options of a client of `pg`: `ssl`, `password` as a function, `application_name`, …. */
  readonly options?: PostgresClientOptions;
  /** Schema of the tables: lower-case letters, digits and `_`, not beginning with a digit. Default `messaging`. */
  readonly schema?: string;
  /** Topic of publishes and subscriptions that name none. Default `events`. */
  readonly topic?: string;
  /**
   * Milliseconds after which a message of a process that died is delivered again. While the process lives this is
   * renewed by itself. Default 30,000.
   */
  readonly lease?: number;
  /**
   * The longest that an idle consumer waits before it looks into its queue, in milliseconds, where no notification comes.
   * Where the server's notifications cannot be heard a tenth of it. Default 1,000.
   */
  readonly pollInterval?: number;
  /** The most connections beside the one that publishes and listens. Default 4. */
  readonly connections?: number;
  /**
   * False where a pooler in transaction mode (PgBouncer) is in between: nothing of a session is used then, neither named
   * statements nor notifications. Default true.
   */
  readonly preparedStatements?: boolean;
  /** The largest body in bytes that is sent. Default 16 MiB. */
  readonly maxBytes?: number;
}

declare module '../../transport/broker-options.js' {
  interface BrokerOptions {
    /** Options of PostgreSQL for this queue: there are none yet. */
    readonly postgres?: PostgresSubscriptionOptions;
  }
}

/** What `postgres: {…}` of a subscription takes: nothing yet, so that a typing error is not ignored. */
export type PostgresSubscriptionOptions = Readonly<Record<string, never>>;

/** The options, checked and complete. Holds no credentials: they stay inside the closures of `address`. */
export interface Settings extends Required<Omit<PostgresOptions, 'url' | 'options'>> {
  readonly address: PostgresAddress;
}

const KNOWN: readonly (keyof PostgresOptions)[] = [
  'url',
  'options',
  'schema',
  'topic',
  'lease',
  'pollInterval',
  'connections',
  'preparedStatements',
  'maxBytes',
];

const DEFAULTS = {
  url: DEFAULT_POSTGRES_URL,
  schema: 'messaging',
  topic: 'events',
  lease: 30_000,
  pollInterval: 1_000,
  connections: 4,
  preparedStatements: true,
  maxBytes: 2 ** 24,
} as const;

/** What leaving out means of the options that say where to connect. */
const LEFT_OUT = { url: `«${DEFAULTS.url}»`, schema: `«${DEFAULTS.schema}»`, topic: `«${DEFAULTS.topic}»` };
/**
 * What is known of a table that is empty now and large in a moment is wrong most of the time: rows are found by their
 * index. A default may be another level.
 */
const SESSION = [
  ...['seqscan', 'bitmapscan', 'hashjoin', 'mergejoin'].map((way) => `enable_${way}=off`),
  'default_transaction_isolation=read\\ committed',
];

export function checkOptions(options: PostgresOptions): Settings {
  knownKeys('postgres', options, KNOWN);
  refuseUndefined('postgres', options, LEFT_OUT);
  const given = {
    ...DEFAULTS,
    ...Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
  };
  const preparedStatements = checkBoolean('postgres.preparedStatements', given.preparedStatements);
  return {
    address: postgresAddress('postgres', given.url, options.options, preparedStatements ? SESSION : []),
    schema: checkSchema('postgres', given.schema),
    topic: checkShortText('postgres.topic', given.topic),
    lease: integerBetween('postgres.lease', given.lease, 1_000, 2 ** 31 - 1),
    pollInterval: integerBetween('postgres.pollInterval', given.pollInterval, 10, 3_600_000),
    connections: integerBetween('postgres.connections', given.connections, 1, 100),
    preparedStatements,
    maxBytes: integerBetween('postgres.maxBytes', given.maxBytes, 1, 2 ** 26),
  };
}

/** @throws InvalidOptionError for any */
export function checkSubscriptionOptions(native: Readonly<Record<string, unknown>> = {}): void {
  knownKeys('postgres', native, []);
}
