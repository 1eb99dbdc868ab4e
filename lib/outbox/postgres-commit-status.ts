import {
  DEFAULT_POSTGRES_URL,
  postgresAddress,
  type PostgresAddress,
  type PostgresClientOptions,
} from '../clients/postgres-address.js';
import { PostgresDatabase } from '../clients/postgres-database.js';
import { InvalidOptionError } from '../errors/configuration-errors.js';
import { knownKeys } from '../errors/option-checks.js';
import type { MessageContract } from '../message/message-contract.js';
import { checkedRoute } from '../transaction/check-transaction.decorator.js';
import type { CommitStatus, CommitStatusFactory } from '../transaction/commit-status.js';

/** Options of `postgresCommitStatus()`. It needs the package `pg`. */
export interface PostgresCommitStatusOptions {
  /** Those whose local transactions are `postgresTransaction()`s of this server. */
  readonly routes: readonly (MessageContract | string)[];
  /** `postgres://user:password@host:5432/database`; any database of the server. Default `postgres://localhost:5432/postgres`. */
  readonly url?: string;
  /** Further options of a client of `pg`: `ssl`, `password` as a function, …. */
  readonly options?: PostgresClientOptions;
}

/** Which server it is, and which of its histories: after a failover a number can be given again. */
const SERVER = `(select system_identifier::text from pg_control_system()) || '/' ||
  substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)`;

/** What the server knows the transaction by; `before`: not null in one that has written. */
export const PROOF = `select pg_current_xact_id_if_assigned()::text as before,
  ${SERVER} || '/' || pg_current_xact_id()::text as proof`;

const STATUS = `select case when $1::text <> ${SERVER} then 'elsewhere'
  else coalesce(pg_xact_status($2::text::xid8), 'forgotten') end as fate`;

/**
 * A number that is in no file yet is given again after a crash, to a transaction that may commit. This one has a higher
 * number, and waits until that is in a file.
 */
const KEEP = `select set_config('synchronous_commit', 'local', true),
  pg_logical_emit_message(true, 'nestjs-messaging', '')::text`;

/** A lost server is given up after so many milliseconds: somebody waits with a transaction. */
const TIMEOUT_MS = 5_000;

const REASONS: Readonly<Record<string, string>> = {
  'in progress': 'it has not ended in its database',
  forgotten: 'its database has forgotten it: it is too old',
  elsewhere: 'it was in another database server, or in one that another has taken over from since',
};

/**
 * The server of local transactions says itself what became of them (`pg_xact_status`), so that their routes need no
 * `@CheckTransaction`: for `transactions.commitStatus`, with `postgresTransaction()`. PostgreSQL 15 and later, the primary.
 * @throws InvalidOptionError
 */
export function postgresCommitStatus(options: PostgresCommitStatusOptions): CommitStatusFactory {
  knownKeys('postgresCommitStatus', options, ['routes', 'url', 'options']);
  const { routes, url = DEFAULT_POSTGRES_URL, options: native } = options;
  if (!Array.isArray(routes) || routes.length === 0)
    throw new InvalidOptionError('postgresCommitStatus.routes', routes, 'an array of routes');
  const timeouts = { connectionTimeoutMillis: TIMEOUT_MS, query_timeout: TIMEOUT_MS };
  const address = postgresAddress(
    'postgresCommitStatus',
    url,
    typeof native === 'object' && native !== null ? { ...timeouts, ...native } : (native ?? timeouts),
  );
  return {
    kind: 'postgres',
    wrapper: 'postgresTransaction(begin, work)',
    routes: routes.map((route: MessageContract | string) => checkedRoute('postgresCommitStatus.routes', route)),
    create: () => new PostgresCommitStatus(address),
  };
}

class PostgresCommitStatus implements CommitStatus {
  private readonly database: PostgresDatabase;
  private keeping: Promise<unknown> = Promise.resolve();
  private next: Promise<void> | undefined;

  constructor(address: PostgresAddress) {
    const [connections, applicationName] = [2, 'postgresCommitStatus'];
    this.database = new PostgresDatabase({ address, connections, neededBy: `${applicationName}()`, applicationName });
  }

  /** Those that come while one is under way share the next. */
  keep(): Promise<void> {
    return (this.next ??= this.afterThis());
  }

  async ask(proof: string): ReturnType<CommitStatus['ask']> {
    const end = proof.lastIndexOf('/');
    const [{ fate }] = await this.query(STATUS, [proof.slice(0, end), proof.slice(end + 1)]);
    if (fate === 'committed') return { outcome: 'committed' };
    if (fate === 'aborted') return { outcome: 'rolled-back' };
    return { outcome: 'unknown', reason: REASONS[fate as string] };
  }

  close(): Promise<void> {
    return this.database.close();
  }

  private async afterThis(): Promise<void> {
    await this.keeping.catch(() => undefined);
    this.next = undefined;
    await (this.keeping = this.query(KEEP, []));
  }

  private async query(...[text, values]: Parameters<PostgresDatabase['query']>): ReturnType<PostgresDatabase['query']> {
    try {
      return await this.database.query(text, values);
    } catch (error) {
      throw new Error(this.database.describe(error), { cause: error });
    }
  }
}
