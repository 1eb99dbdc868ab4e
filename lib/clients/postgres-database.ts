import type { PoolClient } from 'pg';
import type { PostgresAddress } from './postgres-address.js';
import { connectionMisconfiguration, describe, isAnswer, type PostgresError } from './postgres-errors.js';
import { loadPg, type WatchedPool, watchedPool } from './postgres-pool.js';
import type { SqlClient, SqlParameter, SqlRecord } from './sql-client.js';

export interface PostgresDatabaseOptions {
  readonly address: PostgresAddress;
  /** The most connections. They are opened when they are needed, and again after a failure. */
  readonly connections: number;
  /** Who needs `pg`, where it is missing. */
  readonly neededBy: string;
  /** As the server shows the connections. */
  readonly applicationName: string;
  /** Milliseconds after which an answer is not waited for any more, and the connection ended. */
  readonly queryTimeout?: number;
}

/** One connection, with its listener of errors, until it is released; `failed`: it is not used again. */
export interface PostgresConnection extends SqlClient {
  release(failed?: boolean): void;
}

/** The level is set here, since the database's default may be another one. */
const BEGIN = 'begin isolation level read committed';

/** A database that is there or not: what is asked while it is not fails, and what is asked afterwards does not. */
export class PostgresDatabase implements SqlClient {
  /** Nothing that inspects this object shows it: the pool keeps the credentials. */
  #opening: Promise<WatchedPool> | undefined;
  private closing: Promise<void> | undefined;

  constructor(private readonly options: PostgresDatabaseOptions) {}

  /** `host:port/database`. */
  get host(): string {
    return this.options.address.host;
  }

  /** The text of an error, without credentials. */
  describe(error: unknown): string {
    return this.options.address.redact(describe(error));
  }

  /** Why waiting does not help, where that is so: credentials, a missing database or privilege. */
  misconfiguration(error: unknown): Error | undefined {
    return connectionMisconfiguration(error, this.options.address);
  }

  async query(text: string, values: readonly SqlParameter[] = []): Promise<readonly SqlRecord[]> {
    const { pool } = await this.opened();
    return (await pool.query<Record<string, unknown>>(text, [...values])).rows;
  }

  /** Everything that is done on the client it is given, or nothing. It resolves when that is committed. */
  async transaction<T>(work: (client: SqlClient) => Promise<T>): Promise<T> {
    const client = await this.client();
    try {
      await client.query(BEGIN);
      const result = await work(sqlClientOf(client));
      const { command } = await client.query('commit');
      // Where an error was swallowed the server answers so, and nothing fails.
      if (command !== 'COMMIT') throw new Error('the transaction was rolled back: one of its statements had failed');
      client.release();
      return result;
    } catch (error) {
      await this.giveUp(client, error as PostgresError);
      throw error;
    }
  }

  /** A connection for oneself. */
  async connect(): Promise<PostgresConnection> {
    const client = await this.client();
    return { ...sqlClientOf(client), release: (failed = false) => client.release(failed) };
  }

  /** What is under way ends first, unless `destroy` is called. Calling it again is harmless. */
  close(): Promise<void> {
    return (this.closing ??= this.end());
  }

  /** Ends all connections without a word to the server. */
  destroy(): void {
    this.#opening?.then(
      (pool) => pool.destroy(),
      () => {},
    );
  }

  private async end(): Promise<void> {
    const opened = await this.#opening?.catch(() => undefined);
    await opened?.pool.end();
  }

  private async client(): Promise<PoolClient> {
    return (await this.opened()).pool.connect();
  }

  private async opened(): Promise<WatchedPool> {
    this.#opening ??= this.open();
    try {
      return await this.#opening;
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
  }

  private async open(): Promise<WatchedPool> {
    const { address, connections, neededBy, applicationName, queryTimeout } = this.options;
    const config = {
      application_name: applicationName.slice(0, 63),
      ...(queryTimeout !== undefined && { query_timeout: queryTimeout }),
      ...address.config(),
    };
    return watchedPool(await loadPg(neededBy), config, connections);
  }

  private async giveUp(client: PoolClient, error: PostgresError): Promise<void> {
    const isLost = error.severity !== undefined && !isAnswer(error);
    const rolledBack =
      !isLost &&
      (await client.query('rollback').then(
        () => true,
        () => false,
      ));
    client.release(!rolledBack);
  }
}

/** One connection of `pg` as the port. */
export function sqlClientOf(client: Pick<PoolClient, 'query'>): SqlClient {
  return {
    // Without values several statements are one.
    query: async (text, values) =>
      (await client.query<Record<string, unknown>>(text, values.length > 0 ? [...values] : undefined)).rows,
  };
}
